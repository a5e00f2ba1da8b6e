"""Hidden files and folders that killed processes leave, and how they are told from those of living ones."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .locks import folder_lock

__all__ = ["hold", "is_left_over", "reclaim", "reclaim_files", "reclaim_scratch"]


def is_left_over(path: Path) -> bool:
    """Whether a file is what a killed `whole_file` left."""
    return bool(re.fullmatch(r"\..+\.[0-9a-f]{16}\.partial", path.name))


def reclaim(folder: Path, name: str | None = None) -> dict[Path, int]:
    """Removes what calls of `whole_folder` that were killed left in `folder`; those of living processes stay.

    Args:
        folder: the parent of the targets.
        name: the name of one target; by default those of all targets are removed.

    Returns:
        The folders that were removed, with their bytes.
    """
    pattern = rf"\.{'.+' if name is None else re.escape(name)}\.[a-z0-9_]{{8}}\.partial"
    gone = {}
    for left in sorted(path for path in folder.glob(".*") if re.fullmatch(pattern, path.name)):
        held = None if left.is_symlink() or not left.is_dir() else hold(left)
        if held is not None:
            gone[left] = _bytes_of(left)
            shutil.rmtree(left, ignore_errors=True)
            os.close(held)
    return gone


def reclaim_files(folder: Path) -> None:
    """Removes what calls of `whole_file` that were killed left in a folder or below; those of living processes stay."""
    for left in filter(is_left_over, _files_below(folder)):
        held = None if left.is_symlink() or not left.is_file() else hold(left)
        if held is not None:
            left.unlink(missing_ok=True)
            os.close(held)


def reclaim_scratch(folder: Path) -> dict[Path, int]:
    """Removes intermediate results of builds that were killed, which the next build of each place would have used.

    Returns:
        The folders that were removed, with their bytes.
    """
    gone = {}
    for left in sorted(path for path in folder.glob(".*.scratch") if path.is_dir() and not path.is_symlink()):
        with folder_lock(left) as lock:
            if lock == "ours":
                gone[left] = _bytes_of(left)
                shutil.rmtree(left, ignore_errors=True)
    return gone


def _bytes_of(folder: Path) -> int:
    total = 0
    for path in _files_below(folder):
        with suppress(OSError):
            total += path.lstat().st_size
    return total


def _files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and below, while others may delete parts of it."""
    for parent, _, names in os.walk(folder):  # unlike rglob, it passes over what has just gone
        yield from (Path(parent) / name for name in names)


def hold(path: Path) -> int | None:
    """Holds a file or folder until the descriptor is closed, as it is at death; None if another process holds it."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where left-overs stay
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
