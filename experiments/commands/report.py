"""`berrypick report`: run folders and rollouts files to a screen, a JSON document and a page."""

from __future__ import annotations

import sys

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text, skipped_text
from ..measures.arms_report import measure_arms
from ..report.arms import load_arms, stored_report
from ..report.page import report_closing, write_page
from ..report.page_file import check_page_file
from ..report.terminal import print_report
from .flags import Report
from .json_output import print_json

__all__ = ["run_report"]


def run_report(flags: Report) -> int:
    """Prints the measures of the paths; the folder of an experiment already has its report."""
    if not flags.paths:
        raise BerrypickError("berrypick report needs at least one run folder or rollouts file")
    if len(flags.paths) == 1 and (stored := stored_report(flags.paths[0])) is not None:
        if flags.html is not None:
            raise BerrypickError(f"{flags.paths[0]} is the folder of an experiment, which has no page; omit --html")
        if flags.json:
            print_json(stored)
        else:
            sys.stdout.write(safe_text(stored["text"]).rstrip("\n") + "\n")
        return 0
    if flags.html is not None and flags.no_html:
        raise BerrypickError("--html and --no-html contradict each other; give one of them")
    if flags.html is not None:
        check_page_file(flags.html, flags.paths)  # before the measures, which can take minutes
    skipped: list[str] | None = [] if flags.skip_bad else None
    arms = load_arms(flags.paths, skipped)
    report = measure_arms(arms)
    if skipped:
        report["lines_left_out"] = len(skipped)
    sys.stderr.write(skipped_text(skipped or []))
    page, why = None, ""
    if flags.html is not None or not (flags.no_html or flags.json):
        page, why = write_page(flags.paths, arms, report, flags.html)
    if flags.json:
        print_json(report)
    else:
        print_report(flags.paths, report, report_closing(flags.paths, page, why))
    return 0
