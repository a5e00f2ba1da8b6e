"""Runs an experiment cell by cell: each cell is one JSON document, written atomically and computed once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path

from ...retrieval_index.errors import BerrypickError, UnknownNameError, first_line
from ...retrieval_index.left_overs import reclaim_files
from ..runs.environment import environment_facts
from ..runs.run_folder import open_run_folder, write_json
from .cell_processes import Outcome, compute_cells
from .cell_store import failure_file, kept_cells, load_results, read_cells, stored_result, take_over
from .experiment import Cell, CellResult, Experiment, Report, Results, Scale

__all__ = ["reproduce_cell", "run_experiment"]

logger = logging.getLogger(__name__)


def run_experiment(
    experiment: Experiment,
    out: Path,
    *,
    scale: Scale,
    num_seeds: int,
    only: str = "*",
    workers: int = 1,
    address: str | None = None,
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
        address: of a Ray cluster that computes the cells, or "local", which starts Ray on this machine with as many
            workers; None uses processes.
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
    with closing(_computed(experiment, out, missing, workers, address)) as outcomes:  # its processes end with it
        for number, (cell, outcome) in enumerate(outcomes, 1):
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


def _computed(
    experiment: Experiment, out: Path, cells: Sequence[Cell], workers: int, address: str | None
) -> Generator[tuple[Cell, Outcome], None, None]:
    """Computes cells and yields each with its outcome.

    Cells that another run was computing are tried once more at the end: that run may have been killed meanwhile.
    """
    busy = []
    for cell, outcome in compute_cells(experiment, out, cells, workers, address):
        if outcome == "busy":
            busy.append(cell)
        else:
            yield cell, outcome
    yield from compute_cells(experiment, out, busy, workers, address)


def reproduce_cell(experiment: Experiment, key: str, out: Path, *, scale: Scale, num_seeds: int) -> CellResult:
    """Computes one cell again, whatever a run folder holds; an unknown key names the nearest."""
    known = {cell.key: cell for cell in experiment.cells(scale, num_seeds)}
    if key not in known:
        raise UnknownNameError(f"cell of {experiment.name} at scale {scale}", key, known)
    work = out / "reproduced" / key
    work.mkdir(parents=True, exist_ok=True)
    return experiment.run_cell(known[key], work)
