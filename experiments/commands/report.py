"""`berrypick report`: run folders and rollouts files to a screen, a JSON document and a page."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text, skipped_text

if TYPE_CHECKING:
    from ..report.format import Report as StoredReport

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """Measures of run folders or rollouts files, compared where there are several."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """folders of eval, demo or run, or rollouts.jsonl files"""
    json: bool = False
    """one JSON document"""
    html: Path | None = None
    """also write a self-contained page with the frontier, all measures and the episodes; an earlier page is replaced"""
    skip_bad: bool = False
    """leave bad lines out and list them"""

    def run(self) -> int:
        """Reports."""
        from ..measures.arms_report import measure_arms
        from ..report.arms import load_arms, stored_report
        from ..report.html import html_page
        from ..report.page_file import check_page_file, write_page_file
        from ..report.terminal import print_report

        if not self.paths:
            raise BerrypickError("berrypick report needs at least one run folder or rollouts file")
        if len(self.paths) == 1 and (stored := stored_report(self.paths[0])) is not None:
            return self._show(stored)
        if self.html is not None:
            check_page_file(self.html, self.paths)
        skipped: list[str] | None = [] if self.skip_bad else None
        arms = load_arms(self.paths, skipped)
        report = measure_arms(arms)
        if skipped:
            report["lines_left_out"] = len(skipped)
        sys.stderr.write(skipped_text(skipped or []))
        if self.html is not None:
            write_page_file(self.html, html_page(arms, report))
        if self.json:
            sys.stdout.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
        else:
            print_report(self.paths, report)
        return 0

    def _show(self, stored: StoredReport) -> int:
        """Prints the report that an experiment left."""
        if self.html is not None:
            raise BerrypickError(f"{self.paths[0]} is an experiment's and has no page; leave --html out")
        text = json.dumps(stored, indent=1, sort_keys=True) if self.json else safe_text(stored["text"])
        sys.stdout.write(text.rstrip("\n") + "\n")
        return 0
