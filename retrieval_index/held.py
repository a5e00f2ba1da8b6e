"""A folder that one writer holds at a time; a killed process gives it back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["held"]


@contextmanager
def held(folder: Path) -> Iterator[bool | None]:
    """Holds a folder that is there against every other process and thread that asks the same way.

    Nothing is written into it. Yields True; False where another holds it, or has just taken it away; None where there
    are no such locks (Windows, some network file systems) or the folder cannot be opened.
    """
    descriptor, mine = _take(folder)
    try:
        yield mine
    finally:
        if descriptor is not None:
            os.close(descriptor)  # gives it back


def _take(folder: Path) -> tuple[int | None, bool | None]:
    """An open descriptor of the folder, if there is one, and whether its lock was got."""
    descriptor = None
    if fcntl is None:
        return descriptor, None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # its holder may have moved it away between the two, and another folder stand in its place
        return descriptor, folder.stat().st_ino == os.fstat(descriptor).st_ino
    except (BlockingIOError, FileNotFoundError):
        return descriptor, False
    except OSError:
        return descriptor, None
