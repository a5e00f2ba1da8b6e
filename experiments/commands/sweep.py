"""`berrypick sweep`: objectives by seeds as cells on Ray. Finished cells stay, a failed cell stops no other."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.table import Table

from ...retrieval_index.errors import BerrypickError
from ..grid.cell_processes import ray_cluster
from ..report.closing import Closing, print_end
from ..report.training_end import sweep_sentence, training_closing
from ..runs.run_folder import kept_json, write_json
from ..runs.run_log import read_rows
from .json_output import print_json
from .train import check_training, prepare_training
from .train_flags import Sweep, Train

__all__ = ["CellResult", "SweepCell", "SweepResult", "run_cell", "run_sweep", "run_sweep_command", "sweep_cells"]

logger = logging.getLogger(__name__)

_DONE = "cell.json"


@dataclass(frozen=True)
class SweepCell:
    """One training run, as `berrypick train` runs it, in a folder of the sweep."""

    name: str
    command: Train


class CellResult(TypedDict):
    """What cell.json holds; `metrics` is the last row of the run's metrics.jsonl."""

    cell: str
    objective: str
    seed: int
    metrics: dict[str, float]


class SweepResult(TypedDict):
    """What sweep.json holds: results of finished cells and messages of failed ones, by the cell's name."""

    cells: dict[str, CellResult]
    failures: dict[str, str]


def run_sweep_command(flags: Sweep) -> int:
    """Runs the cells that are not finished; the exit status is 1 if any failed."""
    base = Train(**{field.name: getattr(flags, field.name) for field in fields(Train)})
    cells = sweep_cells(base, flags.objectives, flags.seeds)
    result = run_sweep(cells, flags.out, address=flags.address, workers=flags.workers)
    if flags.json:
        print_json(result)
    else:
        _print(result)
        print_end(sweep_sentence(result["cells"]), _closing(flags, result))
    return int(bool(result["failures"]))


def sweep_cells(base: Train, objectives: Sequence[str], seeds: Sequence[int]) -> list[SweepCell]:
    """All objectives by all seeds; what is unknown, duplicate or out of range raises before anything runs."""
    for spec in objectives:
        check_training(replace(base, objective=spec))
    duplicates = [str(item) for items in (objectives, seeds) for item in dict.fromkeys(items) if items.count(item) > 1]
    if duplicates:
        raise BerrypickError(f"duplicate objective or seed in the sweep: {', '.join(duplicates)}; give each once")
    cells = []
    for spec in objectives:
        folder = re.sub(r"[^A-Za-z0-9_.=-]+", "-", spec)
        for seed in seeds:
            name = f"{folder}/seed{seed}"
            cells.append(SweepCell(name, replace(base, out=base.out / name, objective=spec, seed=seed, resume=True)))
    return cells


def run_cell(cell: SweepCell) -> CellResult:
    """Trains a cell, or continues it, and returns its result. A finished cell is only read."""
    found: CellResult = kept_json(cell.command.out / _DONE, lambda: _trained(cell))
    return found


def _trained(cell: SweepCell) -> CellResult:
    flags = cell.command
    prepare_training(flags).start(flags.out, resume=flags.resume, track=flags.track, on_collapse=flags.on_collapse)
    last = read_rows(flags.out / "metrics.jsonl")[-1]
    return {"cell": cell.name, "objective": flags.objective, "seed": flags.seed, "metrics": last}


def run_sweep(
    cells: Sequence[SweepCell], out: Path, *, address: str | None = None, workers: int | None = None
) -> SweepResult:
    """Runs cells on Ray and writes sweep.json after each.

    Args:
        cells: see `sweep_cells`.
        out: receives sweep.json.
        address: of a Ray cluster, e.g. "auto" or "ray://HOST:10001"; None starts Ray on this machine.
        workers: cells at a time on this machine; None runs one for each CPU.
    """
    results: dict[str, CellResult] = {}
    failures: dict[str, str] = {}
    with ray_cluster(out, address, workers) as ray:
        remote = ray.remote(num_cpus=1, max_retries=1)(run_cell)
        jobs = {remote.remote(cell): cell for cell in cells}
        waiting = list(jobs)
        while waiting:
            (ready,), waiting = ray.wait(waiting, num_returns=1)
            name = jobs[ready].name
            try:
                results[name] = ray.get(ready)
                logger.info("cell %s is done, %d to go", name, len(waiting))
            except Exception as error:  # a cell may die of anything; the others continue
                failures[name] = _reason(error)
                logger.warning("cell %s failed: %s", name, failures[name])
            write_json(out / "sweep.json", {"cells": dict(sorted(results.items())), "failures": failures})
    return {"cells": results, "failures": failures}


def _reason(error: Exception) -> str:
    """The last line of an error; Ray wraps the cell's own error as `cause`."""
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines()
    return lines[-1] if lines else type(cause).__name__


def _closing(flags: Sweep, result: SweepResult) -> Closing:
    """Where the runs are, and how the first of them is evaluated."""
    commands = [
        training_closing(flags.out / name, flags.env, flags.env_arg).next[0] for name in sorted(result["cells"])
    ]
    return Closing([("runs", flags.out), ("results", flags.out / "sweep.json")], commands[:1])


def _print(result: SweepResult) -> None:
    table = Table(title="sweep")
    for column in ("cell", "reward", "pass@1", "breadth"):
        table.add_column(column)
    for name, cell in sorted(result["cells"].items()):
        metrics = cell["metrics"]
        keys = ("reward", "pass@1", "search/breadth")
        table.add_row(name, *(f"{metrics[key]:.3f}" if key in metrics else "" for key in keys))
    for name, reason in result["failures"].items():
        table.add_row(name, f"failed: {reason}")
    Console().print(table)
