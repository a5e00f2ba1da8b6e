"""`berrypick run`: one experiment by name, or the published systems one after another."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

from ...retrieval_index.bounds import flags_at_least
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import counted
from ..faithful_runs import FAITHFUL
from ..grid.one_cell import cell_screen, published_cells
from ..grid.publishing import check_project, publish
from ..grid.runner import reproduce_cell, run_experiment
from ..registry import EXPERIMENTS, open_experiment
from ..report.closing import Closing, print_closing, report_console
from ..report.format import Report
from ..verdicts import HEADLINE, SYSTEMS, verdicts_screen, write_verdicts
from .json_output import print_json
from .run_flags import Run

__all__ = ["run_named"]

ALL = "all"
"""Stands for the experiment of the suite's own question and all published systems."""


def run_named(flags: Run) -> int:
    """Computes the missing cells and prints the report; 1 if any cell failed."""
    flags_at_least(1, flags, "seeds", "workers")  # before an experiment is loaded, which takes seconds
    if flags.name == ALL:
        return _run_all(flags)
    if flags.cell:
        return _run_cell(flags)
    report = _computed(flags)
    if flags.publish is not None and flags.name in _compared():
        write_verdicts(flags.publish)
    if flags.json:
        print_json(report)
    else:
        sys.stdout.write(report["text"] + "\n\n")
        sys.stdout.flush()
        print_closing(report_console(), _closing(flags, report))
    return 1 if report["cells"]["failed"] else 0


def _run_cell(flags: Run) -> int:
    """Computes one cell again and shows it, beside the published one and its control where --given has them."""
    experiment = open_experiment(flags.name)
    result = reproduce_cell(experiment, flags.cell, flags.out, scale=flags.scale, num_seeds=flags.seeds)
    if flags.json or not isinstance(result.get("checkpoints"), dict):
        print_json(result)
        return 0
    others = {}
    if flags.given is not None:
        others = published_cells(experiment, flags.cell, flags.given, scale=flags.scale, num_seeds=flags.seeds)
    sys.stdout.write(cell_screen(flags.cell, result, others) + "\n")
    return 0


def _computed(flags: Run) -> Report:
    """The report of one experiment after all its chosen cells, published if it is asked for."""
    experiment = open_experiment(flags.name)
    if flags.publish is not None:
        check_project(flags.publish)
    report = run_experiment(
        experiment,
        flags.out,
        scale=flags.scale,
        num_seeds=flags.seeds,
        only=flags.only,
        workers=flags.workers,
        address=flags.ray,
        given=flags.given,
        on_cell=None if flags.json else _progress,
    )
    if flags.publish is not None:
        publish(experiment, flags.out, flags.publish)
    return report


def _run_all(flags: Run) -> int:
    """Runs each experiment in a folder of its own below --out; one that cannot run does not stop the others."""
    if flags.cell or flags.given is not None:
        raise BerrypickError("--cell and --given are of one experiment; give its name instead of all")
    names = [name for name in _compared() if name in EXPERIMENTS]
    reports: dict[str, Report] = {}
    refused: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        sys.stderr.write(f"{name} ({number} of {len(names)})\n")
        sys.stderr.flush()
        try:
            reports[name] = _computed(replace(flags, name=name, out=flags.out / name))
        except BerrypickError as error:
            refused[name] = str(error)
    if flags.publish is not None and reports:
        write_verdicts(flags.publish)
    if flags.json:
        print_json({"reports": reports, "refused": refused})
    else:
        sys.stdout.write(verdicts_screen(reports) + "\n")
        sys.stdout.writelines(f"{name} was not run: {reason}\n" for name, reason in refused.items())
        sys.stdout.write("\n")
        sys.stdout.flush()
        print_closing(report_console(), _closing_of_all(flags, reports))
    return 1 if refused or any(report["cells"]["failed"] for report in reports.values()) else 0


def _progress(done: int, total: int, key: str) -> None:
    """Writes a line to standard error for every hundredth of the cells, or for each if they are few."""
    if done == total or done * 100 // total != (done - 1) * 100 // total:
        sys.stderr.write(f"{done}/{total} cells, last {key}\n")
        sys.stderr.flush()


def _compared() -> tuple[str, ...]:
    """The experiments whose claims are compared."""
    return (HEADLINE, *(system.name for system in SYSTEMS))


def _words(flags: Run) -> list[str]:
    return ["berrypick", "run", flags.name, "--scale", flags.scale, "--seeds", str(flags.seeds), "--out"]


def _left(report: Report) -> int:
    return int(report["cells"]["not_run"]) + len(report["cells"]["failed"])


def _closing(flags: Run, report: Report) -> Closing:
    """Names the files, and the command that computes the cells that are left, or one of them again."""
    files: list[tuple[str, object]] = [("report", flags.out / "report.json")]
    files += [("figure", figure) for figure in sorted((flags.out / "figures").glob("*.png"))[:3]]
    if flags.scale == "full" and flags.name in FAITHFUL:
        files.append(("at the published size", f"berrypick faithful {flags.name}"))
    if left := _left(report):
        return Closing(files, [_resuming(flags, left)])
    key = open_experiment(flags.name).cells(flags.scale, flags.seeds)[0].key
    again = shlex.join([*_words(flags), f"{flags.out}-again", "--cell", key])
    return Closing(files, [f"{again}    (computes one cell again)"])


def _closing_of_all(flags: Run, reports: dict[str, Report]) -> Closing:
    files: list[tuple[str, object]] = [("reports", flags.out / "*" / "report.json")]
    left = sum(map(_left, reports.values()))
    return Closing(files, [_resuming(flags, left)] if left else [])


def _resuming(flags: Run, left: int) -> str:
    return f"{shlex.join([*_words(flags), str(flags.out)])}    (computes the remaining {counted(left, 'cell')})"
