"""`berrypick report`: run folders and rollouts files to a screen, a JSON document and a page."""

from __future__ import annotations

import sys

from ...envs.importers import RolloutSource
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text
from ..measures.arms_report import measure_arms
from ..report.arms import load_arms, stored_report
from ..report.page import report_closing, write_page
from ..report.page_file import check_page_file
from ..report.terminal import print_report
from .flags import Report
from .json_output import print_json
from .row_map import parse_row_map, source_text

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
    sources: dict[str, RolloutSource] = {}
    arms = load_arms(
        flags.paths,
        skip_bad=not flags.strict,
        format=flags.format or None,
        mapping=parse_row_map(flags.map),
        sources=sources,
    )
    report = measure_arms(arms)
    for name, source in sources.items():
        sys.stderr.write(source_text(source))
        absent = report["arms"][name]["absent"]
        absent.update((key, reason) for key, reason in source.absent.items() if key in absent)
    if left_out := sum(source.num_skipped for source in sources.values()):
        report["lines_left_out"] = left_out
    page, why = None, ""
    if flags.html is not None or not (flags.no_html or flags.json):
        page, why = write_page(flags.paths, arms, report, flags.html)
    if flags.json:
        print_json(report)
    else:
        print_report(flags.paths, report, report_closing(flags.paths, page, why))
    return 0
