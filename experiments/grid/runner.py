"""Runs an experiment cell by cell: each cell is one JSON document, written atomically and computed once."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from fnmatch import fnmatch
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from ...retrieval_index.errors import BerrypickError, UnknownNameError, first_line
from ...retrieval_index.left_overs import reclaim_files
from ...retrieval_index.locks import folder_lock
from ...retrieval_index.plugins import load_file, loaded_files
from ..runs.environment import environment_facts
from ..runs.run_folder import open_run_folder, write_json
from .cell_store import (
    cell_document,
    cell_file,
    failure_file,
    failure_text,
    kept_cells,
    load_results,
    read_cells,
    stored_result,
    take_over,
    work_folder,
    write_cell,
)
from .experiment import Cell, CellResult, Experiment, Report, Results, Scale

__all__ = ["reproduce_cell", "run_experiment"]

logger = logging.getLogger(__name__)

Outcome = Literal["done", "failed", "busy"]
"""What became of a cell in this run; "busy": another run is computing it."""


def run_experiment(
    experiment: Experiment,
    out: Path,
    *,
    scale: Scale,
    num_seeds: int,
    only: str = "*",
    workers: int = 1,
    given: Path | None = None,
    on_cell: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Computes the cells that are missing, then writes report.json and what belongs to it.

    If a cell crashes or its process is killed, the reason is written to `failed/KEY.txt` and reported; the next call
    tries that cell again. An interrupted run resumes. Several runs in one folder share its cells: none computes what
    another is computing.

    Args:
        experiment: what to run.
        out: run folder.
        scale: smoke, small or full.
        num_seeds: replicates of each arm, each with a training seed and, on planted worlds, a world of its own.
        only: shell pattern of the keys to compute now; the report covers all finished cells.
        workers: number of processes that compute cells, each with its share of the processor's threads.
        given: a file of `write_cells`, or a folder of published results with one: its cells are not computed again.
        on_cell: called with (number done, number of cells, key) after each cell.

    Raises:
        BerrypickError: `out` holds another run, or results of another version; no key matches `only`.
    """
    if num_seeds < 1 or workers < 1:
        raise BerrypickError(f"--seeds and --workers must be at least 1, got {num_seeds} and {workers}")
    cells = experiment.cells(scale, num_seeds)
    chosen = [cell for cell in cells if fnmatch(cell.key, only)]
    if not chosen:
        raise BerrypickError(f"no cell matches {only!r}; the first of {len(cells)} is {cells[0].key}")
    documents = {} if given is None else read_cells(experiment, cells, kept_cells(given))
    missing = [cell for cell in chosen if cell.key not in documents and stored_result(experiment, out, cell) is None]
    experiment.require(missing)
    config = {"command": "run", "experiment": experiment.name, "version": experiment.version}
    open_run_folder(out, {**config, "scale": scale, "seeds": num_seeds}, resume=(out / "config.json").is_file())
    reclaim_files(out)
    take_over(out, cells, documents)
    known_failed = set()
    for number, (cell, outcome) in enumerate(_computed(experiment, out, missing, workers), 1):
        if outcome == "failed":
            known_failed.add(cell.key)
        if on_cell:
            on_cell(len(chosen) - len(missing) + number, len(chosen), cell.key)
    results = load_results(experiment, out, cells, known_failed=known_failed)
    for cell in cells:
        if cell.key in results.done:  # a process that was killed after its result has left "killed" beside it
            failure_file(out, cell).unlink(missing_ok=True)
    try:
        return _write_report(experiment, results, out, scale, num_seeds)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if not documents:
            raise
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise BerrypickError(
            f"the cells of {given} are not those of {experiment.name} ({reason}); give another file, and another --out"
        ) from error


def _write_report(experiment: Experiment, results: Results, out: Path, scale: Scale, num_seeds: int) -> Report:
    if results.under_way:
        logger.warning(
            "%d cells are being computed by another process and are not in this report; run again when it has ended",
            len(results.under_way),
        )
    report = {
        **experiment.report(results, scale, num_seeds),
        "command": f"berrypick run {experiment.name} --scale {scale} --seeds {num_seeds} --out {out.name}",
        "environment": environment_facts(),
    }
    write_json(out / "report.json", report, rows=True)
    experiment.write_files(results, report, out)
    return report


def _computed(experiment: Experiment, out: Path, cells: Sequence[Cell], workers: int) -> Iterator[tuple[Cell, Outcome]]:
    """Computes cells and yields each with its outcome, in order with one worker, as they end with several.

    Cells that another run was computing are tried once more at the end: that run may have been killed meanwhile.
    """
    busy = []
    for cell, outcome in _once(experiment, out, cells, workers):
        if outcome == "busy":
            busy.append(cell)
        else:
            yield cell, outcome
    yield from _once(experiment, out, busy, workers)


def _once(experiment: Experiment, out: Path, cells: Sequence[Cell], workers: int) -> Iterator[tuple[Cell, Outcome]]:
    if workers == 1:
        for cell in cells:
            yield cell, _compute(experiment, out, cell)
        return
    left = list(cells)
    while left:
        ended = set()
        try:
            for cell, outcome in _side_by_side(experiment, out, left, workers):
                ended.add(cell.key)
                yield cell, outcome
        except BrokenProcessPool as error:
            suspects = [cell for cell in left if cell.key not in ended and _died(out, cell)]
            if not suspects:  # no cell had begun: the next processes would not start either
                raise BerrypickError("worker processes are killed before they begin; run with --workers 1") from error
            for cell in suspects:  # one death ends all processes of the pool; each suspect is tried alone
                try:
                    yield from _side_by_side(experiment, out, [cell], 1)
                except BrokenProcessPool:
                    logger.warning("cell %s failed: %s", cell.key, _DIED)
                    yield cell, "failed"
            ended |= {cell.key for cell in suspects}
        left = [cell for cell in left if cell.key not in ended]


def _side_by_side(
    experiment: Experiment, out: Path, cells: Sequence[Cell], workers: int
) -> Iterator[tuple[Cell, Outcome]]:
    """Computes cells in several processes and yields each as it ends.

    Raises:
        BrokenProcessPool: a process was killed. All processes have ended by then: one that is still dying has its
            cell locked, and whoever looked at that lock would take the cell for one that is being computed.
    """
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = get_context("spawn")  # a forked process would share torch's thread pool and a started JVM
    pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(threads, loaded_files()))
    wait = True
    try:
        futures = {pool.submit(_compute, experiment, out, cell): cell for cell in cells}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise
    except BaseException:  # interrupted by hand: the processes end on their own
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


def _begin_worker(threads: int, files: Sequence[Path]) -> None:
    """Prepares a worker process.

    Args:
        threads: limit of the process; torch, if it is not loaded yet, reads the variable when it is.
        files: users' files; experiments that they define can be unpickled only after they are loaded.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    for file in files:
        load_file(file)


def reproduce_cell(experiment: Experiment, key: str, out: Path, *, scale: Scale, num_seeds: int) -> CellResult:
    """Computes one cell again, whatever a run folder holds; an unknown key names the nearest."""
    known = {cell.key: cell for cell in experiment.cells(scale, num_seeds)}
    if key not in known:
        raise UnknownNameError(f"cell of {experiment.name} at scale {scale}", key, known)
    work = out / "reproduced" / key
    work.mkdir(parents=True, exist_ok=True)
    return experiment.run_cell(known[key], work)


_DIED = "the process that computed it was killed, perhaps for memory; run again with fewer --workers"


def _died(out: Path, cell: Cell) -> bool:
    """Whether a process began a cell and neither finished it nor wrote why it failed."""
    text = failure_text(out, cell)
    return text == _DIED and not cell_file(out, cell).is_file()


def _compute(experiment: Experiment, out: Path, cell: Cell) -> Outcome:
    """Computes a cell, unless another run in this folder is computing it ("busy") or has just done so."""
    work = work_folder(out, cell)
    work.mkdir(parents=True, exist_ok=True)
    with folder_lock(work) as lock:
        if lock == "busy":
            logger.warning("another process computes %s; it is left to that process", cell.key)
            return "busy"
        if cell_file(out, cell).is_file():
            return "done"
        return _compute_alone(experiment, out, cell, work)


def _compute_alone(experiment: Experiment, out: Path, cell: Cell, work: Path) -> Outcome:
    path, failure = cell_file(out, cell), failure_file(out, cell)
    for folder in (path.parent, failure.parent):
        folder.mkdir(parents=True, exist_ok=True)
    failure.write_text(f"{_DIED}\n")  # left in place if this process is killed
    try:
        result = experiment.run_cell(cell, work)
    except Exception as error:
        # the other cells are computed all the same; the report says which one is missing and why
        logger.warning("cell %s failed: %s", cell.key, error)
        failure.write_text(f"{traceback.format_exc()}\n{type(error).__name__}: {error}\n")
        return "failed"
    except BaseException:  # interrupted by hand: the cell counts as not run
        failure.unlink()
        raise
    write_cell(path, cell_document(experiment, cell, result))
    failure.unlink(missing_ok=True)
    return "done"
