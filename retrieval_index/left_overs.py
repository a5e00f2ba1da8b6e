"""Hidden files and folders that killed processes leave, and how they are told from those of living ones."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from .locks import LockState, folder_lock

__all__ = ["held_path", "is_left_over", "reclaim", "reclaim_files", "reclaim_scratch"]


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
        if left.is_symlink() or not left.is_dir():
            continue
        with _hold(left) as state:
            if state == "ours":
                gone[left] = _bytes_of(left)
                shutil.rmtree(left, ignore_errors=True)
    return gone


def reclaim_files(folder: Path, name: str | None = None) -> None:
    """Removes what calls of `whole_file` that were killed left; those of living processes stay.

    Args:
        folder: the folder of the targets.
        name: the name of one target; by default those of all targets in the folder and below are removed.
    """
    files = _files_below(folder) if name is None else folder.glob(f".{escape(name)}.*.partial")
    for left in sorted(filter(is_left_over, files)):
        if left.is_symlink() or not left.is_file():
            continue
        with _hold(left) as state:
            if state == "ours":
                left.unlink(missing_ok=True)


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


@contextmanager
def held_path(make: Callable[[], Path]) -> Iterator[Path]:
    """Makes a hidden file or folder and holds it while the block runs, so that nobody takes it for a left-over.

    Args:
        make: makes it, under another name each time.
    """
    while True:
        path = make()
        with _hold(path) as state:
            if state != "busy" and path.exists():  # else another process took it for a left-over before it was held
                yield path
                return


@contextmanager
def _hold(path: Path) -> Iterator[LockState]:
    """Holds a file or folder itself until the block or the process ends; see `folder_lock` for the states."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where left-overs stay
        yield "unsupported"
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        yield "busy" if isinstance(error, FileNotFoundError) else "unsupported"  # gone: its taker was faster
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            state: LockState = "ours"
        except BlockingIOError:
            state = "busy"
        except OSError:
            state = "unsupported"
        yield state
    finally:
        os.close(descriptor)
