"""`berrypick run`: one experiment by name."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from ...retrieval_index.errors import UnknownNameError

if TYPE_CHECKING:
    from ..grid.experiment import Experiment

__all__ = ["EXPERIMENTS", "Run", "open_experiment"]

EXPERIMENTS = {
    "diversity_tax": "what training for diversity costs in single-shot pass@1, when, and why",
    "real_corpora": "accuracy, breadth and entropy on real corpora, against retrieval controls",
}
"""Each is `EXPERIMENT` of the module of its name."""


def open_experiment(name: str) -> Experiment:
    """The experiment of that name; an unknown one names the nearest."""
    if name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    from ...policies.open_policy import require_training

    require_training(f"berrypick run {name}")
    found: Experiment = import_module(f"..{name}", __package__).EXPERIMENT
    return found


@dataclass(frozen=True)
class Run:
    """One experiment: claims with verdicts, tables, figures; resumable cell by cell."""

    name: tyro.conf.Positional[str]
    """experiment: diversity_tax or real_corpora"""
    out: Path
    """run folder; an interrupted run goes on there"""
    scale: Literal["smoke", "small", "full"] = "smoke"
    """smoke takes seconds, small two cores a night at most, full is for real models"""
    seeds: int = 2
    """seeds of each arm"""
    only: str = "*"
    """compute only cells whose name is like this, as language/*; the report is of all that is there"""
    workers: int = 1
    """cells computed side by side"""
    given: Path | None = None
    """cells that were computed before, e.g. results/diversity_tax/language_cells.jsonl.gz; or a folder of published
    results, as results/diversity_tax, whose report then stands for cells that it does not keep"""
    cell: str = ""
    """compute this one cell afresh and print it"""
    publish: Path | None = None
    """project folder whose results/NAME and pages below docs/ are written from the report"""
    json: bool = False
    """print the report as one JSON document"""

    def run(self) -> int:
        """Runs it."""
        from ..grid.publishing import check_project, publish
        from ..grid.runner import reproduce_cell, run_experiment

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
    """A line to standard error at every hundredth of the cells, and at each of a few."""
    if done == total or done * 100 // total != (done - 1) * 100 // total:
        sys.stderr.write(f"{done}/{total} cells, last {key}\n")
        sys.stderr.flush()
