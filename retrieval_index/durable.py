"""What is written: on the disk, beside its place until it is whole, or one clear line that says why not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import BerrypickError

__all__ = ["fsync", "sibling", "writing"]


def fsync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def sibling(target: Path) -> Iterator[Path]:
    """A new hidden folder beside `target`, to fill and rename to it; what was not renamed is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        work.chmod(0o755)  # mkdtemp makes it private
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def writing(what: object, cure: str) -> Iterator[None]:
    """Turns an `OSError` of the block into one line.

    Args:
        what: cannot be written then, e.g. a path.
        cure: the end of the line.

    Raises:
        BerrypickError: instead of the `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise BerrypickError(f"cannot write {what}: {error.strerror or error}; {cure}") from error
