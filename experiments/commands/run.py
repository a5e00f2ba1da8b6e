"""`berrypick run`: one experiment by name."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ..registry import open_experiment

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """One experiment: claims with verdicts, tables, figures; resumable cell by cell."""

    name: tyro.conf.Positional[str]
    """a name from berrypick list, or FILE.py:NAME for an experiment that FILE.py registers"""
    out: Path
    """run folder; the same command resumes an interrupted run there"""
    scale: Literal["smoke", "small", "full"] = "smoke"
    """smoke takes seconds, small a night of two cores at most, full adds language models"""
    seeds: int = 2
    """number of seeds of each arm"""
    only: str = "*"
    """compute only cells whose name matches this pattern, e.g. language/*; the report covers all finished cells"""
    workers: int = 1
    """number of processes that compute cells"""
    given: Path | None = None
    """cells computed earlier, e.g. results/diversity_tax/language_cells.jsonl.gz; or a folder of published results,
    e.g. results/diversity_tax, whose report then stands in for cells that the folder does not hold"""
    cell: str = ""
    """compute only this cell again and print it"""
    publish: Path | None = None
    """project folder in which results/NAME and the pages in docs/ are written from the report"""
    json: bool = False
    """print the report as one JSON document"""

    def run(self) -> int:
        """Runs it."""
        from ...policies.open_policy import require_training
        from ..grid.publishing import check_project, publish
        from ..grid.runner import reproduce_cell, run_experiment

        require_training("berrypick run")
        experiment = open_experiment(self.name)
        if self.cell:
            result = reproduce_cell(experiment, self.cell, self.out, scale=self.scale, num_seeds=self.seeds)
            sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
            return 0
        if self.publish is not None:
            check_project(self.publish)
        report = run_experiment(
            experiment,
            self.out,
            scale=self.scale,
            num_seeds=self.seeds,
            only=self.only,
            workers=self.workers,
            given=self.given,
            on_cell=None if self.json else _progress,
        )
        if self.publish is not None:
            publish(experiment, self.out, self.publish)
        if self.json:
            sys.stdout.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
        else:
            sys.stdout.write(report["text"] + "\n")
        return 1 if report["cells"]["failed"] else 0


def _progress(done: int, total: int, key: str) -> None:
    """Writes a line to standard error for every hundredth of the cells, or for each if they are few."""
    if done == total or done * 100 // total != (done - 1) * 100 // total:
        sys.stderr.write(f"{done}/{total} cells, last {key}\n")
        sys.stderr.flush()
