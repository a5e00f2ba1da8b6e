"""A folder that outlives a killed build, so that the next one need not encode again; one builder at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .held import held

__all__ = ["scratch_folder"]


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """The folder itself, or a private one while another builder holds it; removed when the build succeeds.

    It is removed while it is held, so that who comes meanwhile takes a private one and loses nothing.
    """
    with suppress(FileExistsError):  # it goes while this one looks, or a file has its name
        folder.mkdir(parents=True, exist_ok=True)
    with held(folder) as mine:
        if not mine:
            if mine is None:
                with suppress(OSError):
                    folder.rmdir()  # nobody will hold it
            with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as private:
                yield Path(private)
            return
        try:
            yield folder
        except BaseException:
            if not any(folder.iterdir()):
                folder.rmdir()  # nothing to go on with
            raise
        shutil.rmtree(folder, ignore_errors=True)
