"""One cell that was computed again, as a terminal shows it: its start and end, the published line, and its control."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..report.format import number, text_columns
from .arms import Arm
from .cell_store import kept_cells, read_cells
from .experiment import Cell, CellResult, Experiment, Scale
from .screen import filled

__all__ = ["cell_screen", "published_cells"]

PUBLISHED_TO = 1e-6
"""Published values are rounded to six digits after the decimal point."""


def published_cells(
    experiment: Experiment, key: str, given: Path, *, scale: Scale, num_seeds: int
) -> dict[str, CellResult]:
    """The published results of a cell and of its control: {"published": ..., NAME of the control: ...}.

    Args:
        experiment: of the cell.
        key: of the cell.
        given: a file of cells, or a folder of published results with one.
        scale: of the run, as for `reproduce_cell`.
        num_seeds: of the run.

    Returns:
        What the file holds of the two; an arm that is a control itself has no other.
    """
    cells = {cell.key: cell for cell in experiment.cells(scale, num_seeds)}
    wanted = {"published": cells[key], **_control(experiment, cells, cells[key])}
    documents = read_cells(experiment, list(wanted.values()), kept_cells(given))
    return {name: documents[cell.key]["result"] for name, cell in wanted.items() if cell.key in documents}


def _control(experiment: Experiment, cells: Mapping[str, Cell], cell: Cell) -> dict[str, Cell]:
    """The cell of the arm's control in the same condition and world."""
    arms: Mapping[str, Arm] = getattr(experiment, "arms", {})
    arm = arms.get(str(cell.config.get("arm")))
    if arm is None or not arm.control:
        return {}
    place = _place(cell.config)
    for other in cells.values():
        if other.config.get("arm") == arm.control and _place(other.config) == place:
            return {arm.control: other}
    return {}


def _place(config: Mapping[str, Any]) -> tuple[object, ...]:
    """What a cell has in common with its control."""
    return tuple(config.get(name) for name in ("policy", "condition", "world", "world_seed", "seed"))


def cell_screen(key: str, result: CellResult, others: Mapping[str, CellResult]) -> str:
    """The text.

    Args:
        key: of the cell.
        result: with {"checkpoints": {step: {measure: value}}}.
        others: from `published_cells`; their last checkpoints are shown.
    """
    first, last = _step(result, 0), _step(result, -1)
    start, end = result["checkpoints"][first], result["checkpoints"][last]
    ends = {name: one["checkpoints"][_step(one, -1)] for name, one in others.items()}
    rows = [
        [name, number(start.get(name)), number(value), *(number(one.get(name)) for one in ends.values())]
        for name, value in end.items()
    ]
    table = text_columns(["measure", f"step {first}", f"step {last}", *ends], rows)
    return f"{key}\n{table}\n\n{filled(_comparison(result, others))}"


def _step(result: CellResult, at: int) -> str:
    """The name of a checkpoint by its place along training."""
    steps: list[str] = sorted(result["checkpoints"], key=int)
    return steps[at]


def _comparison(result: CellResult, others: Mapping[str, CellResult]) -> str:
    if "published" not in others:
        return "To compare with the published line, and with its control: --given results/NAME of the project."
    theirs = others["published"]["checkpoints"]
    apart = [
        _apart(result["checkpoints"].get(step, {}).get(name), value)
        for step, one in theirs.items()
        for name, value in one.items()
    ]
    largest = max(apart, default=0.0)
    if largest <= PUBLISHED_TO:
        return f"Equal to the published line in all of its {len(apart)} values, which have six digits."
    return f"The largest difference from the {len(apart)} values of the published line is {largest:.1e}."


def _apart(ours: float | None, theirs: float | None) -> float:
    """|ours - theirs|; a value that only one of them has is infinitely far."""
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else float("inf")
    return abs(ours - theirs)
