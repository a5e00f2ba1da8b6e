"""Where a report's page may be written: never over what it was made from, nor over anything but an earlier page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.files import writing
from ..runs.run_folder import write_whole

__all__ = ["PAGE_MARK", "check_page_file", "write_page_file"]

PAGE_MARK = '<meta name="generator" content="berrypick report">'
"""Stands in the head of each page; a file without it is somebody else's."""

_HEAD_BYTES = 4096


def check_page_file(file: Path, inputs: Sequence[Path]) -> None:
    """Raises `BerrypickError` unless a page may be written to `file`.

    Args:
        file: where the page is to stand.
        inputs: the files and run folders it reports on; of a folder only its report.html may be written.
    """
    if file.suffix.lower() not in (".html", ".htm"):
        raise BerrypickError(f"--html {file}: a page ends in .html; choose such a name, for example report.html")
    target = file.resolve()
    for path in inputs:
        source = path.resolve()
        if target == source or (file.exists() and path.exists() and os.path.samefile(file, path)):
            raise BerrypickError(f"--html {file}: this is what is reported on; choose another file")
        if source in target.parents and target != source / "report.html":
            raise BerrypickError(
                f"--html {file}: inside {path} a page is named report.html; choose that or another place"
            )
    if file.exists() and not _is_page(file):
        raise BerrypickError(f"--html {file}: this is no page of berrypick and is kept; choose another file")


def write_page_file(file: Path, page: str) -> None:
    """Writes a page whole or not at all; raises `BerrypickError` where it cannot be written."""
    with writing(file, "choose another --html"):
        write_whole(file, page)


def _is_page(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return PAGE_MARK.encode() in opened.read(_HEAD_BYTES)
    except OSError:
        return False
