"""How far accuracy can go on the corpus of an evaluation, kept as coverage.json in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...envs.tasks.task import Task
from ..runs.run_folder import stored_json
from .rows import CoverageRow

if TYPE_CHECKING:
    from ...envs.questions import Question

__all__ = ["COVERAGE", "coverage_row", "stored_coverage"]

COVERAGE = "coverage.json"

MOST_PASSAGES = 200_000
"""An evaluation looks for answers in at most so many passages, some seconds; `berrypick index audit` has no limit."""


def coverage_row(task: Task, questions: Sequence[Question]) -> CoverageRow | None:
    """Coverage of the questions of an evaluation; None for a World, whose best values are exact, and where the passages
    are elsewhere or too many."""
    if task.world is not None or not 0 < len(task.passages) <= MOST_PASSAGES:
        return None
    from ...envs.audit import answer_coverage

    found = answer_coverage(questions, task.passages, scoring=task.spec.scoring)
    return {
        "questions": found.questions,
        "open": found.open,
        "found": found.found,
        "bound": found.bound,
        "absent": list(found.absent),
    }


def stored_coverage(paths: Sequence[Path]) -> dict[str, CoverageRow]:
    """The coverage of run folders that have one, by name of the folder; a file that cannot be read is passed over."""
    rows: dict[str, CoverageRow] = {}
    for path in paths:
        try:
            value = stored_json(path / COVERAGE)
        except (OSError, ValueError):
            continue
        if (row := _row(value)) is not None:
            rows[path.name] = row
    return rows


def _row(value: object) -> CoverageRow | None:
    """A stored row, if it is one that could have been written."""
    if not isinstance(value, Mapping) or not isinstance(value.get("absent"), list):
        return None
    counts = [value.get(name) for name in ("questions", "open", "found")]
    absent = [key for key in value["absent"] if isinstance(key, str)]
    if not all(isinstance(count, int) and not isinstance(count, bool) for count in counts):
        return None
    questions, opened, found = (int(count) for count in counts if isinstance(count, int))
    if not 0 <= found <= opened <= questions or len(absent) != opened - found or not questions:
        return None
    bound = 1 - len(absent) / questions
    return {"questions": questions, "open": opened, "found": found, "bound": bound, "absent": absent}
