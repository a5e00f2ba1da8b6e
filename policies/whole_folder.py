"""Folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..retrieval_index.durable import fsync, writing

__all__ = ["discard", "sweep", "whole_folder"]


@contextmanager
def whole_folder(target: Path, cure: str, *, replaces: bool = False) -> Iterator[Path]:
    """A temporary sibling to fill; it is fsynced and renamed to `target` when the block ends, removed when it fails.

    Args:
        target: an empty folder or none, unless it is replaced.
        cure: the end of the error.
        replaces: drop a `target` that is there, once its successor is complete.

    Raises:
        BerrypickError: the disk is full or read-only, or `target` holds files that are not to be replaced.
    """
    work = target.with_name(f".{target.name}.partial")
    with writing(target, cure):
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            yield work
            for path in (*sorted(work.iterdir()), work):
                fsync(path)
            if replaces:
                discard(target)
            os.replace(work, target)
            fsync(target.parent)
        except Exception:
            shutil.rmtree(work, ignore_errors=True)
            raise


def discard(path: Path) -> None:
    """Removes a folder; it loses its name first, so that none is ever seen half removed."""
    if path.exists():
        doomed = path.with_name(f".{path.name}.old.partial")
        shutil.rmtree(doomed, ignore_errors=True)
        os.replace(path, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Removes what a killed write or removal left in a folder."""
    for left in folder.glob(".*.partial"):
        shutil.rmtree(left, ignore_errors=True)
