"""The figures of an agent's report as rows of text: the same for the screen, the model card and the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..report.format import compact, plain

__all__ = ["FLOOR_HEAD", "MEASURES", "arm_rows", "end_note", "floor_rows"]

MEASURES: Mapping[str, str] = {
    "em": "EM",
    "f1": "F1",
    "evidence_recall": "evid. recall",
    "searches": "searches",
    "valid_actions": "valid turns",
}
"""Measure -> head of its column."""

FLOOR_HEAD = ("set", "agent minus", "EM", "F1")


def arm_rows(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """[set, arm, one estimate for each of `MEASURES`] of every arm on every set, ± half of the 95 % interval."""
    return [
        (name, arm, *(plain(summary["measures"].get(measure)) for measure in MEASURES))
        for name, found in report["sets"].items()
        for arm, summary in found["arms"].items()
    ]


def end_note(report: Mapping[str, Any]) -> str:
    """Explains ≤ and ≥ if `arm_rows` has them; "" if not."""
    cells = "".join(cell for row in arm_rows(report) for cell in row[2:])
    return "; ≤ ≥ its other end" if {"≤", "≥"} & {*cells} else ""


def floor_rows(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """[set, floor, difference in EM, in F1] with 95 % intervals over the questions that both answered."""
    return [
        (name, pair.partition(" - ")[2], *(compact(row["differences"].get(measure)) for measure in ("em", "f1")))
        for name, found in report["sets"].items()
        for pair, row in found["differences"].items()
    ]
