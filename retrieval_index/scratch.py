"""A folder that outlives a killed build, so that the next one need not encode again; one builder at a time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on Windows: every build there starts anew
    fcntl = None  # type: ignore[assignment]

__all__ = ["scratch_folder"]

_LOCK = "lock"


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """The folder itself, or a private one while another builder holds it; removed when the build succeeds."""
    descriptor = _hold(folder)
    if descriptor is None:
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as private:
            yield Path(private)
        return
    try:
        yield folder
    except BaseException:
        if not [path for path in folder.iterdir() if path.name != _LOCK]:
            _remove(folder)  # nothing to go on with
        raise
    else:
        _remove(folder)
    finally:
        os.close(descriptor)  # gives the lock back; a killed process gives it back too


def _remove(folder: Path) -> None:
    """Steps aside in one piece first, so that who comes meanwhile finds all of it or nothing, and keeps what is his."""
    with suppress(OSError):
        aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def _hold(folder: Path) -> int | None:
    """The open lock file of the folder, or None if another has it, or took it away while this one looked."""
    if fcntl is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR)
    except (FileNotFoundError, FileExistsError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (folder / _LOCK).stat().st_ino == os.fstat(descriptor).st_ino:  # else its holder has just removed it
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
