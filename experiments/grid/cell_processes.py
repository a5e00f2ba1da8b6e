"""Where cells are computed: in this process, in several, or on Ray. A cell that fails or is killed stops no other."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any, Literal

from ...retrieval_index.errors import BerrypickError, MissingExtraError
from ...retrieval_index.locks import folder_lock
from ...retrieval_index.plugins import load_file, loaded_files
from .cell_store import cell_document, cell_file, failure_file, failure_text, work_folder, write_cell
from .experiment import Cell, Experiment

__all__ = ["Outcome", "compute_cells", "ray_cluster"]

logger = logging.getLogger(__name__)

Outcome = Literal["done", "failed", "busy"]
"""What became of a cell in this run; "busy": another run is computing it."""

_DIED = "the process that computed it was killed, perhaps for memory; run again with fewer --workers"


def compute_cells(
    experiment: Experiment, out: Path, cells: Sequence[Cell], workers: int, address: str | None = None
) -> Iterator[tuple[Cell, Outcome]]:
    """Computes cells and yields each with its outcome, in order with one worker, as they end with several.

    Args:
        experiment: of the cells.
        out: run folder; with Ray, one that all its machines see under this path.
        cells: to compute.
        workers: processes; with an address, cells at a time on a Ray that is started here.
        address: of a Ray cluster, or "local", which starts one; None uses processes of this machine.
    """
    if address is not None:
        if cells:
            yield from _on_ray(experiment, out, cells, workers, address)
        return
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
    """Computes cells in several processes and yields each as it ends. If it is closed or interrupted, they end at once.

    Raises:
        BrokenProcessPool: a process was killed. All processes have ended by then: one that is still dying has its
            cell locked, and whoever looked at that lock would take the cell for one that is being computed.
    """
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = get_context("spawn")  # a forked process would share torch's thread pool and a started JVM
    ours, theirs = context.Pipe()
    pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(threads, loaded_files(), theirs))
    try:
        with _interrupts_held():
            futures = {pool.submit(_compute, experiment, out, cell): cell for cell in cells}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise
    except BaseException:  # closed, or interrupted by hand
        ours.close()
        pool.shutdown(wait=True, cancel_futures=True)
        for cell in cells:
            _count_as_not_run(out, cell)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        ours.close()
        theirs.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Delivers Ctrl-C after the block; processes that are started in it never get one, their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(threads: int, files: Sequence[Path], theirs: Connection | None = None) -> None:
    """Prepares a worker process.

    Args:
        threads: limit of the process; torch, if it is not loaded yet, reads the variable when it is.
        files: users' files; experiments that they define can be unpickled only after they are loaded.
        theirs: this process ends when the other end is closed; None on Ray, which ends its processes itself.
    """
    if theirs is not None:
        Thread(target=_end_with_parent, args=(theirs,), daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    for file in files:
        load_file(file)


def _end_with_parent(theirs: Connection) -> None:
    """Ends this process when the one that gives it cells closes its end of a pipe, or is killed."""
    with suppress(EOFError, OSError):
        theirs.recv()
    os._exit(1)  # as if it had been killed: the next run resumes its cell


def _on_ray(
    experiment: Experiment, out: Path, cells: Sequence[Cell], workers: int, address: str
) -> Iterator[tuple[Cell, Outcome]]:
    """Computes cells as tasks of a Ray cluster; a cell whose machine or process dies has failed, as on this machine."""
    with ray_cluster(out, None if address == "local" else address, workers) as ray:
        remote = ray.remote(num_cpus=1, max_retries=0)(_compute_remote)
        files = loaded_files()
        jobs = {remote.remote(files, pickle.dumps((experiment, out.resolve(), cell))): cell for cell in cells}
        waiting = list(jobs)
        while waiting:
            (ready,), waiting = ray.wait(waiting, num_returns=1)
            cell = jobs[ready]
            try:
                outcome: Outcome = ray.get(ready)
            except ray.exceptions.RayError as error:
                logger.warning("cell %s failed: %s", cell.key, str(error).strip().splitlines()[-1])
                outcome = "failed"
            yield cell, outcome


def _compute_remote(files: Sequence[Path], work: bytes) -> Outcome:
    """Loads users' files first: experiments that they define can be unpickled only then."""
    _begin_worker(1, files)
    return _compute(*pickle.loads(work))


@contextmanager
def ray_cluster(out: Path, address: str | None, workers: int | None) -> Iterator[Any]:
    """The module `ray`, connected to a cluster or started on this machine.

    Args:
        out: folder of the run; created.
        address: of a Ray cluster, e.g. "auto" or "ray://HOST:10001"; None starts Ray on this machine.
        workers: tasks at a time on this machine; None runs one for each CPU.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("Ray", "sweep", error) from error
    out.mkdir(parents=True, exist_ok=True)
    where = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.WARNING, **where)
    try:
        yield ray
    finally:
        ray.shutdown()


def _died(out: Path, cell: Cell) -> bool:
    """Whether a process began a cell and neither finished it nor wrote why it failed."""
    text = failure_text(out, cell)
    return text == _DIED and not cell_file(out, cell).is_file()


def _count_as_not_run(out: Path, cell: Cell) -> None:
    """Forgets that a process of ours, which has ended, began a cell; another run may be computing it."""
    if _died(out, cell):
        with folder_lock(work_folder(out, cell)) as lock:
            if lock != "busy":
                failure_file(out, cell).unlink(missing_ok=True)


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
