"""Checks the measures of stored cells, which may come from strangers, before anything is computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...retrieval_index.errors import BerrypickError

__all__ = ["check_measures"]

_CURVES = ("checkpoints", "temperatures", "mixes")
_LARGEST = 1e300


def check_measures(key: str, result: Mapping[str, Any]) -> None:
    """Refuses a result without {"checkpoints": {step: {measure: number}}}, or whose other curves have another shape.

    Raises:
        BerrypickError: names the cell.
    """
    for name in _CURVES:
        points = result.get(name)
        if points is None and name != "checkpoints":
            continue
        if not _is_curve(points, whole=name == "checkpoints") or not (points or name != "checkpoints"):
            raise BerrypickError(
                f"the cell {key} has no measures at its {name}; delete its file, and the next run computes it again"
            )


def _is_curve(points: object, *, whole: bool) -> bool:
    """Whether this is {number as text: {name: number}}."""
    return isinstance(points, dict) and all(
        _is_place(place, whole=whole) and _is_row(values) for place, values in points.items()
    )


def _is_place(text: str, *, whole: bool) -> bool:
    if whole:
        return text.isascii() and text.isdigit() and len(text) < 19 and text == str(int(text))
    try:
        return abs(float(text)) < _LARGEST
    except ValueError:
        return False


def _is_row(values: object) -> bool:
    return isinstance(values, dict) and all(
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (value != value or -_LARGEST < value < _LARGEST)
        for value in values.values()
    )
