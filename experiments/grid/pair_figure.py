"""The figure of a panel: how alike pairs of policies are, by what they share, before and after training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..report.figure_files import can_draw, save_figure
from ..report.format import Report
from ..report.palette import OKABE_ITO
from .system_figure import plain_axis
from .tables import middle_strength

__all__ = ["write_pair_figure"]

_TEXT = "#222222"
_LABELS = {
    "self": "the policy itself",
    "same_start": "same start, other method",
    "same_demonstrator": "same demonstrator, other world",
    "other_demonstrator": "other demonstrator, same world",
    "apart": "other demonstrator, other world",
    "method_apart": "the same, one method",
    "even": "policies that choose evenly",
    "mismatched": "same start, other question",
}
"""Type of pair -> its name; see `panel_cells.PAIRS`."""

_ENCODERS = {"": "records asked for", "_words": "words of the queries"}
_STEP = 0.2


def write_pair_figure(report: Report, arm: str, places: Mapping[str, str], folder: Path, name: str) -> list[Path]:
    """Writes NAME.svg and NAME.png: hollow before training, filled after it, with intervals over worlds.

    Args:
        report: of the experiment.
        arm: whose cells are panels.
        places: condition -> its name; those that the report lacks are left out.
        folder: of the figures.
        name: of the files.
    """
    rows = {place: found for place in places if (found := _ends(report, place, arm))}
    if not rows or not can_draw():
        return []
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 3.9), layout="constrained", facecolor="white")
    axes = list(figure.subplots(1, len(_ENCODERS), squeeze=False, sharey=True)[0])
    for axis, (suffix, encoder) in zip(axes, _ENCODERS.items()):
        plain_axis(axis, f"similarity of two episodes, by {encoder}")
        for at, (place, ends) in enumerate(rows.items()):
            _draw(axis, ends, suffix, at * _STEP - _STEP * (len(rows) - 1) / 2, OKABE_ITO[at], places[place])
        axis.set_yticks([-row for row in range(len(_LABELS))], list(_LABELS.values()), fontsize=8, color=_TEXT)
        axis.set_xlim(-0.03, 1.03)
    axes[0].legend(fontsize=7, frameon=False, loc="upper left", title="hollow: before training", title_fontsize=7)
    return save_figure(figure, folder, name)


def _ends(report: Report, place: str, arm: str) -> tuple[Report, Report] | None:
    """Measures before and after training; None without a finished panel."""
    content = report["conditions"].get(place, {})
    strengths = content.get("arms", {}).get(arm)
    if not strengths:
        return None
    after = strengths[middle_strength(strengths)]["measures"]
    return (content["start"], after) if after.get("self") else None


def _draw(axis: Any, ends: tuple[Report, Report], suffix: str, shift: float, colour: str, label: str) -> None:
    before, after = ends
    for row, kind in enumerate(_LABELS):
        first, last = before.get(kind + suffix), after.get(kind + suffix)
        if not (first and last):
            continue
        y = -row - shift
        axis.plot(first["value"], y, "o", markerfacecolor="white", color=colour, markersize=5)
        half = 0.0 if last["low"] is None else (last["high"] - last["low"]) / 2
        axis.errorbar(
            last["value"], y, xerr=half, fmt="o", color=colour, markersize=5, linewidth=1,
            label=label if row == 0 else None,
        )  # fmt: skip
