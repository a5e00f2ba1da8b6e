"""`berrypick report`: run folders and rollouts files to a screen, a JSON document and a page."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from ..retrieval_index.errors import BerrypickError

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """Measures of run folders or rollouts files, compared where there are several."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """run folders or rollouts.jsonl files"""
    json: bool = False
    """one JSON document"""
    html: Path | None = None
    """also write a self-contained page with the frontier, all measures and the episodes; an earlier page is replaced"""

    def run(self) -> int:
        """Reports."""
        from .report.compare import print_report, report_paths, write_page

        if not self.paths:
            raise BerrypickError("berrypick report needs at least one run folder or rollouts file")
        if self.html is not None:
            write_page(self.paths, self.html)
        if self.json:
            sys.stdout.write(json.dumps(report_paths(self.paths), indent=1, sort_keys=True) + "\n")
        else:
            print_report(self.paths, report_paths(self.paths))
        return 0
