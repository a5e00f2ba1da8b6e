"""`berrypick sweep`: objective x seed as cells on Ray; a cell that fails loses itself, a finished one is kept."""

from __future__ import annotations

import importlib
import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import tyro

from ...retrieval_index.errors import BerrypickError, MissingExtraError
from ..runs.run_folder import write_json
from .train_flags import Train

__all__ = ["Sweep", "SweepCell", "run_cell", "run_sweep", "sweep_cells"]

logger = logging.getLogger(__name__)

_DONE = "cell.json"


@dataclass(frozen=True)
class Sweep(Train):
    """Training runs of several objectives (strengths are their options) and seeds, on Ray.

    Takes the flags of `berrypick train`; each cell is such a run, resumed where it was interrupted.
    """

    out: Path
    """folder of the sweep; all machines of a cluster must see it"""
    objective: tyro.conf.Suppress[str] = "grpo"
    seed: tyro.conf.Suppress[int] = 0
    resume: tyro.conf.Suppress[bool] = True
    objectives: tuple[str, ...] = ("grpo", "darling")
    """e.g. grpo darling:floor=0.1 darling:floor=0.3"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """of whole runs"""
    address: str | None = None
    """of a Ray cluster; by default Ray starts on this machine"""
    workers: int | None = None
    """cells at a time on this machine; by default one for each CPU"""
    json: bool = False
    """one JSON document"""

    def run(self) -> int:
        """Runs the cells that are not done; 1 if any failed."""
        from ...policies.open_policy import require_training

        require_training("berrypick sweep")
        base = Train(**{field.name: getattr(self, field.name) for field in fields(Train)})
        cells = sweep_cells(base, self.objectives, self.seeds)
        found = run_sweep(cells, self.out, address=self.address, workers=self.workers)
        if self.json:
            sys.stdout.write(json.dumps(found, indent=1, sort_keys=True) + "\n")
        else:
            _print(found)
        return int(bool(found["failures"]))


@dataclass(frozen=True)
class SweepCell:
    """One training run, as `berrypick train` takes it, in a folder of its own."""

    name: str
    command: Train


def sweep_cells(base: Train, objectives: Sequence[str], seeds: Sequence[int]) -> list[SweepCell]:
    """All objectives by all seeds; unknown names and repetitions raise before anything runs."""
    from ...policies.objectives import get_objective

    for spec in objectives:
        get_objective(spec)
    if len(set(objectives)) < len(objectives) or len(set(seeds)) < len(seeds):
        raise BerrypickError("an objective or a seed stands twice in the sweep; give each once")
    cells = []
    for spec in objectives:
        folder = re.sub(r"[^A-Za-z0-9_.=-]+", "-", spec)
        for seed in seeds:
            name = f"{folder}/seed{seed}"
            cells.append(SweepCell(name, replace(base, out=base.out / name, objective=spec, seed=seed, resume=True)))
    return cells


def run_cell(cell: SweepCell) -> dict[str, Any]:
    """Trains a cell, or goes on with it; returns its last metrics. A finished cell is not touched."""
    folder = cell.command.out
    done = folder / _DONE
    if done.is_file():
        found: dict[str, Any] = json.loads(done.read_text())
        return found
    from .train import prepare_training, start_training

    start_training(cell.command, prepare_training(cell.command))
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    result = {"cell": cell.name, "objective": cell.command.objective, "seed": cell.command.seed, "metrics": last}
    write_json(done, result)
    return result


def run_sweep(
    cells: Sequence[SweepCell], out: Path, *, address: str | None = None, workers: int | None = None
) -> dict[str, Any]:
    """Runs cells on Ray and writes sweep.json: results and failures, by cell.

    Args:
        cells: see `sweep_cells`.
        out: receives sweep.json.
        address: of a Ray cluster, e.g. "auto" or "ray://HOST:10001"; None starts Ray on this machine.
        workers: cells at a time on this machine; None takes one for each CPU.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("berrypick sweep", "sweep", error) from error
    out.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.WARNING, **options)
    results: dict[str, Any] = {}
    failures: dict[str, str] = {}
    try:
        remote = ray.remote(num_cpus=1, max_retries=1)(run_cell)
        jobs = {remote.remote(cell): cell for cell in cells}
        waiting = list(jobs)
        while waiting:
            (ready,), waiting = ray.wait(waiting, num_returns=1)
            name = jobs[ready].name
            try:
                results[name] = ray.get(ready)
                logger.info("cell %s is done, %d to go", name, len(waiting))
            except Exception as error:  # whatever a cell dies of stays with the cell
                cause = getattr(error, "cause", None) or error
                failures[name] = str(cause).strip().splitlines()[-1] if str(cause).strip() else type(cause).__name__
                logger.warning("cell %s failed: %s", name, failures[name])
            write_json(out / "sweep.json", {"cells": dict(sorted(results.items())), "failures": failures})
    finally:
        ray.shutdown()
    return {"cells": results, "failures": failures}


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="sweep")
    for column in ("cell", "reward", "pass@1", "breadth"):
        table.add_column(column)
    for name, result in sorted(found["cells"].items()):
        metrics = result["metrics"]
        keys = ("reward", "pass@1", "search/breadth")
        table.add_row(name, *(f"{metrics[key]:.3f}" if key in metrics else "" for key in keys))
    for name, reason in found["failures"].items():
        table.add_row(name, f"failed: {reason}")
    Console().print(table)
