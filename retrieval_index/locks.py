"""A lock on a folder: one writer at a time. The operating system releases the lock of a process that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

__all__ = ["LOCK", "PATIENCE_S", "LockState", "folder_lock"]

LOCK = ".lock"
"""Name of the lock file in a locked folder. A killed process leaves the file there, unlocked."""

PATIENCE_S = 1.0
"""Seconds to wait for a busy lock where a dying process may be its owner.

A killed process keeps its locks until the kernel has closed its files, which is some milliseconds after its death can
be observed. The wait only avoids needless refusals: no result may depend on how long it is.
"""

LockState = Literal["ours", "busy", "unsupported"]


@contextmanager
def folder_lock(folder: Path, *, patience_s: float = 0.0) -> Iterator[LockState]:
    """Locks a folder against every other process and thread that uses this function; creates the folder if needed.

    Args:
        folder: what is locked. Its lock file disappears with the block.
        patience_s: how long to wait for another owner to release it.

    Yields:
        "ours"; "busy" if another process or thread has the lock, or released it this moment; "unsupported" if the
        folder cannot be locked (its file system has no such locks, or it is read-only).
    """
    from filelock import FileLock, Timeout

    path = folder / LOCK
    lock = FileLock(path)
    state: LockState = "ours"
    try:
        lock.acquire(timeout=patience_s, poll_interval=0.02) if patience_s else lock.acquire(blocking=False)
        inode = path.stat().st_ino
    except Timeout:
        state = "busy"
    except OSError:
        state = "unsupported"
    try:
        yield state
    finally:
        if state == "ours":
            with suppress(OSError):
                if (
                    path.stat().st_ino == inode
                ):  # otherwise the folder was renamed, and the file belongs to its successor
                    path.unlink()
        lock.release()
