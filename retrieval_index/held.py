"""A folder that one writer holds at a time; a killed process gives it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["LOCK", "held"]

LOCK = ".lock"
"""The file in a held folder; a killed process leaves it there, unlocked."""


@contextmanager
def held(folder: Path) -> Iterator[bool | None]:
    """Holds a folder against every other process and thread that asks the same way; makes it if it is not there.

    Yields True; False where another holds it, or has just let it go; None where it cannot be locked (no such locks on
    its file system, or it cannot be written).
    """
    from filelock import FileLock, Timeout

    path = folder / LOCK
    lock = FileLock(path)
    mine: bool | None = True
    try:
        lock.acquire(blocking=False)
        inode = path.stat().st_ino
    except Timeout:
        mine = False
    except OSError:
        mine = None
    try:
        yield mine
    finally:
        if mine:
            with suppress(OSError):
                if path.stat().st_ino == inode:  # else the folder was moved away, and the file is another's
                    path.unlink()
        lock.release()
