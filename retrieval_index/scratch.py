"""A folder that outlives a killed build, so that the next one need not encode again; one builder at a time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .locks import LOCK, folder_lock

__all__ = ["scratch_folder"]


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """The folder itself, or a private one while another builder holds it; removed when the build succeeds."""
    with folder_lock(folder) as lock:
        if lock != "ours":
            with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as private:
                yield Path(private)
            return
        try:
            yield folder
        except BaseException:
            if all(path.name == LOCK for path in folder.iterdir()):  # nothing to go on with
                _remove(folder)
            raise
        _remove(folder)


def _remove(folder: Path) -> None:
    """Steps aside in one piece first, so that who comes meanwhile finds all of it or nothing, and keeps what is his."""
    with suppress(OSError):
        aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)
