"""Cells on disk: one JSON document each; one of another version or with other settings is refused."""

from __future__ import annotations

import json
import lzma
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from ...retrieval_index.data_files import all_lines
from ...retrieval_index.errors import BerrypickError, system_reason
from ...retrieval_index.json_text import parse_json, small_file
from ...retrieval_index.locks import PATIENCE_S, folder_lock
from ...retrieval_index.sealed import sealed, unsealed
from ..runs.run_folder import write_whole
from .experiment import Cell, CellResult, Experiment, Results

__all__ = [
    "CELLS_PATTERN",
    "cell_document",
    "cell_file",
    "failure_file",
    "failure_text",
    "kept_cells",
    "load_results",
    "read_cells",
    "stored_result",
    "take_over",
    "work_folder",
    "write_cell",
    "write_cells",
]


class CellDocument(TypedDict):
    """A finished cell on disk: its result, and what it was computed from."""

    version: int
    digest: str
    config: dict[str, Any]
    result: CellResult


CELLS_PATTERN = "*_cells.jsonl.xz"
"""Pattern of the files of cells that are published next to a report."""


def cell_file(out: Path, cell: Cell) -> Path:
    """The file of a cell's result."""
    return out / "cells" / f"{cell.key}.json"


def failure_file(out: Path, cell: Cell) -> Path:
    """The file that says why a cell failed."""
    return out / "failed" / f"{cell.key}.txt"


def work_folder(out: Path, cell: Cell) -> Path:
    """The folder in which a cell is computed; it is locked meanwhile."""
    return out / "work" / cell.key


def stored_result(experiment: Experiment, out: Path, cell: Cell) -> CellResult | None:
    """The stored result of a cell; None if there is none."""
    path = cell_file(out, cell)
    if not path.is_file():
        return None
    try:
        document = cast("CellDocument", unsealed(small_file(path)))
    except (OSError, ValueError, TypeError) as error:
        raise BerrypickError(
            f"{path} is damaged ({system_reason(error)}); delete it, and the next run computes it again"
        ) from error
    return _checked(experiment, cell, document, str(path))


def _checked(experiment: Experiment, cell: Cell, stored: CellDocument, path: str) -> CellResult:
    """The result in a cell's document; one of another version or with other settings is refused."""
    if stored.get("version") != experiment.version:
        raise BerrypickError(
            f"{path} is of version {stored.get('version')} of {experiment.name}, this is version "
            f"{experiment.version}; choose a new --out"
        )
    if stored.get("digest") != cell.digest:
        raise BerrypickError(f"{path} was computed with other settings than {cell.key} has now; choose a new --out")
    if not isinstance(stored.get("result"), dict):
        raise BerrypickError(f"{path} holds no result; delete it, and the next run computes it again")
    return stored["result"]


def cell_document(experiment: Experiment, cell: Cell, result: CellResult) -> CellDocument:
    """What is stored of a finished cell."""
    return {
        "version": experiment.version,
        "digest": cell.digest,
        "config": dict(cell.config),
        "result": result,
    }


def write_cell(path: Path, document: CellDocument) -> None:
    """Writes a finished cell with a digest of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, sealed(document) + "\n")


def write_cells(
    experiment: Experiment, results: Results, cells: Sequence[Cell], path: Path, *, digits: int | None = None
) -> None:
    """Writes finished cells as JSON lines, compressed by xz, so that another run need not compute them again.

    With `digits`, numbers of results are rounded to so many after the decimal point.
    """
    done = [cell for cell in cells if cell.key in results.done]
    kept = {cell.key: _rounded(results.done[cell.key], digits) for cell in done}
    rows = [{"key": cell.key, **cell_document(experiment, cell, kept[cell.key])} for cell in done]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(lzma.compress(text.encode()))  # equal cells give equal bytes


def _rounded(value: Any, digits: int | None) -> Any:
    """The value with all numbers in it rounded; None leaves them as they are."""
    if digits is None:
        return value
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {key: _rounded(part, digits) for key, part in value.items()}
    return [_rounded(part, digits) for part in value] if isinstance(value, list) else value


def kept_cells(given: Path) -> Path:
    """The file itself, or the one file of cells that a folder of published results holds."""
    if not given.is_dir():
        return given
    found = sorted(given.glob(CELLS_PATTERN))
    if len(found) != 1:
        raise BerrypickError(f"{given} holds {len(found)} files of cells ({CELLS_PATTERN}); give the file itself")
    return found[0]


def read_cells(experiment: Experiment, cells: Sequence[Cell], given: Path) -> dict[str, CellDocument]:
    """Key -> document, of a file that `write_cells` wrote; cells that the experiment does not have are left out."""
    if not given.is_file():
        raise BerrypickError(
            f"{given} is no file of cells; give the .jsonl.xz that an earlier run left beside its report"
        )
    known = {cell.key: cell for cell in cells}
    found = {}
    for number, line in _lines(given):
        try:
            row = dict(parse_json(line))
            key = row.pop("key")
            cell = known.get(key)
        except (ValueError, KeyError, TypeError) as error:
            raise BerrypickError(f"{given}:{number} is no cell of an experiment; give another file") from error
        if cell is not None:
            document = cast("CellDocument", row)
            _checked(experiment, cell, document, f"{given}:{number}")
            found[key] = document
    return found


def _lines(given: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that is compressed by xz, one at a time."""
    try:
        with lzma.open(given) as file:
            yield from all_lines(file)
    except (OSError, EOFError, lzma.LZMAError) as error:
        reason = system_reason(error)
        raise BerrypickError(f"{given} cannot be read ({reason}); give a .jsonl.xz that an earlier run left") from error


def take_over(out: Path, cells: Sequence[Cell], documents: Mapping[str, CellDocument]) -> None:
    """Copies cells that `read_cells` found into a run folder that lacks them."""
    for cell in cells:
        path = cell_file(out, cell)
        if cell.key in documents and not path.is_file():
            write_cell(path, documents[cell.key])


def load_results(
    experiment: Experiment, out: Path, cells: Sequence[Cell], *, known_failed: Collection[str] = ()
) -> Results:
    """Reads what a run folder holds of these cells.

    Args:
        experiment: decides which stored cells are valid.
        out: the run folder.
        cells: what is looked for.
        known_failed: keys of cells that the caller saw fail. For all others a cell that was begun and has no result is
            `under_way` if another process has it locked, and failed otherwise.
    """
    results = Results()
    for cell in cells:
        failure = failure_text(out, cell)
        busy = failure is not None and cell.key not in known_failed and _is_under_way(out, cell)
        # A cell leaves its result before its failure file goes and its lock is released, so it is looked for last:
        # another process may finish it at any moment.
        stored = stored_result(experiment, out, cell)
        if stored is not None:
            results.done[cell.key] = stored
        elif failure is not None and not busy:
            results.failed[cell.key] = failure.splitlines()[-1]
        else:
            results.not_run.append(cell.key)
            if busy:
                results.under_way.append(cell.key)
    return results


def failure_text(out: Path, cell: Cell) -> str | None:
    """Why a cell failed, or that it was begun; None if it was not begun or has been finished.

    Another process may write or delete the file at any moment: it may be empty for an instant, or gone.
    """
    try:
        return failure_file(out, cell).read_text().strip() or "begun"
    except FileNotFoundError:
        return None


def _is_under_way(out: Path, cell: Cell) -> bool:
    """Whether another process is computing a cell; a process that was just killed is given time to die."""
    work = work_folder(out, cell)
    if not work.is_dir():
        return False
    with folder_lock(work, patience_s=PATIENCE_S) as lock:
        return lock == "busy"
