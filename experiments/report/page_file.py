"""Where a report's page may be written: over an earlier page, but over no other file and no input of the report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...retrieval_index.errors import BerrypickError
from ..runs.run_folder import write_whole

__all__ = ["COMPARISON", "PAGE", "PAGE_MARK", "SERIES_PAGE", "check_page_file", "default_page_file", "write_page_file"]

PAGE_MARK = '<meta name="generator" content="berrypick report">'
"""Is in the head of every page. A file without it was written by something else."""

PAGE, SERIES_PAGE, COMPARISON = "report.html", "report_by_step.html", "comparison.html"
"""Names of pages in run folders: of the run, of its steps, of the run beside others."""

_HEAD_BYTES = 4096


def check_page_file(file: Path, inputs: Sequence[Path]) -> None:
    """Raises `BerrypickError` unless a page may be written to `file`.

    Args:
        file: the page.
        inputs: files and run folders that the page reports on. Inside these folders a page has one of our names.
    """
    if file.suffix.lower() not in (".html", ".htm"):
        raise BerrypickError(f"--html {file}: the name of a page ends in .html; choose for example report.html")
    target = file.resolve()
    for path in inputs:
        source = path.resolve()
        if target == source or (file.exists() and path.exists() and os.path.samefile(file, path)):
            raise BerrypickError(f"--html {file}: this is an input of the report; choose another file")
        if source in target.parents and target not in (source / PAGE, source / SERIES_PAGE, source / COMPARISON):
            name = COMPARISON if len(inputs) > 1 else PAGE
            raise BerrypickError(
                f"--html {file}: inside {path} a page must be named {name}; choose that name or another folder"
            )
    if file.exists() and not _is_page(file):
        raise BerrypickError(f"--html {file}: this is no page of berrypick and is not overwritten; choose another file")


def default_page_file(inputs: Sequence[Path], name: str = PAGE) -> tuple[Path | None, str]:
    """Chooses where a page is written if nobody says: beside the first input.

    Args:
        inputs: files and run folders.
        name: of the page in a run folder.

    Returns:
        `report.html` in a run folder, or `FILE.report.html` beside a file of another system; `comparison.html` of
        several, so that a run keeps its own page. (None, why) if the folder is not writable or another program's file
        has that name.
    """
    first = inputs[0]
    if len(inputs) > 1 and name == PAGE:
        name = COMPARISON
    folder = first if first.is_dir() else first.parent
    ours = first.is_dir() or (first.name.startswith("rollouts.jsonl") and (folder / "config.json").is_file())
    page = folder / name if ours else folder / f"{first.name}.{name}"
    # root may write anywhere; a folder that its owner made read-only stays as it is
    if not (os.access(folder, os.W_OK) and folder.stat().st_mode & 0o222):
        return None, f"{folder} is not writable; choose a place with --html FILE"
    if os.path.lexists(page) and not _is_page(page):
        return None, f"{page} is no page of berrypick; choose a place with --html FILE"
    return page, ""


def write_page_file(file: Path, page: str) -> None:
    """Writes a page completely or not at all; raises `BerrypickError` if it cannot be written."""
    write_whole(file, page, "choose another --html")


def _is_page(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return PAGE_MARK.encode() in opened.read(_HEAD_BYTES)
    except OSError:
        return False
