"""Runs an experiment cell by cell: each cell is one JSON document, written whole, and is never computed twice."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from fnmatch import fnmatch
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, Protocol

from ..retrieval_index.errors import BerrypickError, UnknownNameError
from .run_folder import environment_facts, open_run_folder, write_json

__all__ = ["Cell", "Experiment", "Results", "Scale", "load_results", "reproduce_cell", "run_experiment"]

logger = logging.getLogger(__name__)

Scale = Literal["smoke", "small", "full"]


@dataclass(frozen=True, slots=True)
class Cell:
    """The smallest piece that is resumed: one arm in one condition at one strength and seed.

    Attributes:
        key: a file name below `cells/`, unique; "/" makes folders.
        config: JSON-able; together with the experiment's version it decides the result.
    """

    key: str
    config: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of the configuration."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Results:
    """What was computed, and what failed.

    Attributes:
        done: cell key -> its result.
        failed: cell key -> one line about the crash.
        not_run: cell keys that nobody has started.
    """

    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    not_run: list[str] = field(default_factory=list)


class Experiment(Protocol):
    """One question, one file."""

    name: str
    summary: str
    version: int
    """Raised by every change that changes a number; results of another version are refused."""
    page: str
    """Name of the document below `docs/` that is made of its report."""

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """All cells of a scale."""
        ...

    def run_cell(self, cell: Cell, work: Path) -> dict[str, Any]:
        """The JSON-able result of a cell; `work` is a folder of its own for what must survive an interruption."""
        ...

    def report(self, results: Results, scale: Scale, num_seeds: int) -> dict[str, Any]:
        """The report of whatever is there."""
        ...

    def write_files(self, results: Results, report: Mapping[str, Any], out: Path) -> None:
        """Pictures, per-seed values and whatever else stands beside report.json."""
        ...

    def page_text(self, report: Mapping[str, Any]) -> str:
        """The page, made of the report alone."""
        ...


def run_experiment(
    experiment: Experiment,
    out: Path,
    *,
    scale: Scale,
    num_seeds: int,
    only: str = "*",
    workers: int = 1,
    on_cell: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Computes the cells that are missing, then writes report.json and what belongs to it.

    A crashed cell is kept as `failed/KEY.txt`, reported, and tried again by the next call. An interrupted run goes on.

    Args:
        experiment: what to run.
        out: run folder.
        scale: smoke, small or full.
        num_seeds: seeds of each arm.
        only: shell pattern of the keys that are computed now; the report is of all that is there.
        workers: processes that compute cells side by side, each with its share of the processor's threads.
        on_cell: told of (number done, number of cells, key).

    Raises:
        BerrypickError: `out` holds another run, or results of another version; no key is like `only`.
    """
    if num_seeds < 1 or workers < 1:
        raise BerrypickError(f"--seeds and --workers must be at least 1, got {num_seeds} and {workers}")
    config = {"command": "run", "experiment": experiment.name, "version": experiment.version}
    open_run_folder(out, {**config, "scale": scale, "seeds": num_seeds}, resume=(out / "config.json").is_file())
    cells = experiment.cells(scale, num_seeds)
    chosen = [cell for cell in cells if fnmatch(cell.key, only)]
    if not chosen:
        raise BerrypickError(f"no cell is like {only!r}; the first of {len(cells)} is {cells[0].key}")
    missing = [cell for cell in chosen if _stored(experiment, out, cell) is None]
    for number, cell in enumerate(_computed(experiment, out, missing, workers), len(chosen) - len(missing) + 1):
        if on_cell:
            on_cell(number, len(chosen), cell.key)
    results = load_results(experiment, out, cells)
    report = {
        **experiment.report(results, scale, num_seeds),
        "command": f"berrypick run {experiment.name} --scale {scale} --seeds {num_seeds} --out {out.name}",
        "environment": environment_facts(),
    }
    write_json(out / "report.json", report)
    experiment.write_files(results, report, out)
    return report


def _computed(experiment: Experiment, out: Path, cells: Sequence[Cell], workers: int) -> Iterator[Cell]:
    """Computes cells and yields each as it ends, in their order with one worker."""
    if workers == 1:
        for cell in cells:
            _compute(experiment, out, cell)
            yield cell
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = get_context("spawn")  # a forked process would share torch's thread pool and a started JVM
    with ProcessPoolExecutor(workers, context, initializer=_use_threads, initargs=(threads,)) as pool:
        waiting = {pool.submit(_compute, experiment, out, cell): cell for cell in cells}
        try:
            for ended in as_completed(waiting):
                ended.result()
                yield waiting[ended]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def load_results(experiment: Experiment, out: Path, cells: Sequence[Cell]) -> Results:
    """Reads what a run folder holds of these cells."""
    results = Results()
    for cell in cells:
        stored = _stored(experiment, out, cell)
        failure = _failure_file(out, cell)
        if stored is not None:
            results.done[cell.key] = stored
        elif failure.is_file():
            results.failed[cell.key] = failure.read_text().strip().splitlines()[-1]
        else:
            results.not_run.append(cell.key)
    return results


def reproduce_cell(experiment: Experiment, key: str, out: Path, *, scale: Scale, num_seeds: int) -> dict[str, Any]:
    """Computes one cell afresh, whatever a run folder holds; unknown keys name the nearest."""
    known = {cell.key: cell for cell in experiment.cells(scale, num_seeds)}
    if key not in known:
        raise UnknownNameError(f"cell of {experiment.name} at scale {scale}", key, known)
    work = out / "reproduced" / key
    work.mkdir(parents=True, exist_ok=True)
    return experiment.run_cell(known[key], work)


def _cell_file(out: Path, cell: Cell) -> Path:
    return out / "cells" / f"{cell.key}.json"


def _failure_file(out: Path, cell: Cell) -> Path:
    return out / "failed" / f"{cell.key}.txt"


def _stored(experiment: Experiment, out: Path, cell: Cell) -> dict[str, Any] | None:
    """The stored result of a cell; None where there is none."""
    path = _cell_file(out, cell)
    if not path.is_file():
        return None
    stored = json.loads(path.read_text())
    if stored.get("version") != experiment.version:
        raise BerrypickError(
            f"{path} is of version {stored.get('version')} of {experiment.name}, this is version "
            f"{experiment.version}; choose a new --out"
        )
    if stored.get("digest") != cell.digest:
        raise BerrypickError(f"{path} was computed with other settings than {cell.key} has now; choose a new --out")
    result: dict[str, Any] = stored["result"]
    return result


def _compute(experiment: Experiment, out: Path, cell: Cell) -> None:
    path, failure, work = _cell_file(out, cell), _failure_file(out, cell), out / "work" / cell.key
    for folder in (path.parent, work):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        result = experiment.run_cell(cell, work)
    except Exception as error:
        # one crashed cell loses itself alone; the report says which seed is missing and why
        logger.warning("cell %s failed: %s", cell.key, error)
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(f"{traceback.format_exc()}\n{type(error).__name__}: {error}\n")
        return
    write_json(
        path,
        {
            "version": experiment.version,
            "digest": cell.digest,
            "config": dict(cell.config),
            "result": result,
        },
    )
    failure.unlink(missing_ok=True)
