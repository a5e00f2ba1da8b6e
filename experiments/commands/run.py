"""`berrypick run`: one experiment by name."""

from __future__ import annotations

import shlex
import sys

from ...retrieval_index.plain_text import counted
from ..grid.publishing import check_project, publish
from ..grid.runner import reproduce_cell, run_experiment
from ..registry import open_experiment
from ..report.closing import Closing, print_closing, report_console
from ..report.format import Report
from .flags import Run
from .json_output import print_json

__all__ = ["run_named"]


def run_named(flags: Run) -> int:
    """Computes the missing cells and prints the report; 1 if any cell failed."""
    experiment = open_experiment(flags.name)
    if flags.cell:
        print_json(reproduce_cell(experiment, flags.cell, flags.out, scale=flags.scale, num_seeds=flags.seeds))
        return 0
    if flags.publish is not None:
        check_project(flags.publish)
    report = run_experiment(
        experiment,
        flags.out,
        scale=flags.scale,
        num_seeds=flags.seeds,
        only=flags.only,
        workers=flags.workers,
        given=flags.given,
        on_cell=None if flags.json else _progress,
    )
    if flags.publish is not None:
        publish(experiment, flags.out, flags.publish)
    if flags.json:
        print_json(report)
    else:
        sys.stdout.write(report["text"] + "\n\n")
        sys.stdout.flush()
        print_closing(report_console(), _closing(flags, report))
    return 1 if report["cells"]["failed"] else 0


def _progress(done: int, total: int, key: str) -> None:
    """Writes a line to standard error for every hundredth of the cells, or for each if they are few."""
    if done == total or done * 100 // total != (done - 1) * 100 // total:
        sys.stderr.write(f"{done}/{total} cells, last {key}\n")
        sys.stderr.flush()


def _closing(flags: Run, report: Report) -> Closing:
    """Says where the files are, and what goes on with the cells that are left or computes one again."""
    files: list[tuple[str, object]] = [("report", flags.out / "report.json")]
    files += [("figure", figure) for figure in sorted((flags.out / "figures").glob("*.png"))[:3]]
    words = ["berrypick", "run", flags.name, "--scale", flags.scale, "--seeds", str(flags.seeds), "--out"]
    left = report["cells"]["not_run"] + len(report["cells"]["failed"])
    if left:
        return Closing(files, [f"{shlex.join([*words, str(flags.out)])}    (goes on with {counted(left, 'cell')})"])
    experiment = open_experiment(flags.name)
    key = experiment.cells(flags.scale, flags.seeds)[0].key
    again = shlex.join([*words, f"{flags.out}-again", "--cell", key])
    return Closing(files, [f"{again}    (computes one cell again)"])
