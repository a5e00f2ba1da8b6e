"""The figure of the price law: for each run with claims, the tax of every World against its price."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..report.figure_files import can_draw, save_figure
from ..report.format import Report, number
from ..report.palette import arm_colours
from .headline import claimed_runs

__all__ = ["write_figure"]

_COLUMNS = 4
_TEXT = "#222222"


def write_figure(report: Report, folder: Path) -> list[Path]:
    """Writes law.svg and law.png, a panel for each run; equal reports give equal files.

    Without the `plots` extra it writes nothing and logs a warning. Without a World there is no figure.
    """
    rows = claimed_runs(report)
    return save_figure(_figure(rows, report), folder, "law") if rows and can_draw() else []


def _figure(rows: Report, report: Report) -> Any:
    """Panels side by side, and a sentence in the place after the last one. White ground, so dark pages show it too."""
    from matplotlib.figure import Figure

    height = math.ceil((len(rows) + 1) / _COLUMNS)
    width = min(len(rows) + 1, _COLUMNS)
    figure = Figure(figsize=(2.7 * width, 2.75 * height), layout="constrained", facecolor="white")
    axes = [axis for row in figure.subplots(height, width, squeeze=False) for axis in row]
    for axis in axes[len(rows) :]:
        axis.set_axis_off()
    colours = arm_colours(rows)
    for at, (axis, (name, row)) in enumerate(zip(axes, rows.items())):
        _draw_panel(axis, name, row, colours[name])
        if at % width == 0:
            axis.set_ylabel("tax: pass@1 minus control's", fontsize=8, color=_TEXT)
        if at + width >= len(rows):
            axis.set_xlabel("price: what the frontier asks", fontsize=8, color=_TEXT)
    _draw_sentence(axes[len(rows)], report)
    return figure


def _draw_panel(axis: Any, name: str, row: Report, colour: str) -> None:
    axis.set_facecolor("white")
    axis.set_title(name, fontsize=9, color=_TEXT)
    axis.tick_params(labelsize=7, colors=_TEXT)
    axis.locator_params(nbins=5)
    axis.grid(alpha=0.25, linewidth=0.5)
    ends = [value for point in row["points"] for value in point[:2]]
    margin = 0.05 * (max(0.0, *ends) - min(0.0, *ends)) or 0.01
    low, high = min(0.0, *ends) - margin, max(0.0, *ends) + margin
    axis.plot([low, high], [low, high], color="#888888", linewidth=0.8, zorder=1)
    for has_cue, inside in ((False, colour), (True, "none")):
        points = [point for point in row["points"] if point[3] == has_cue]
        axis.plot(
            [point[0] for point in points], [point[1] for point in points], "o", markersize=3, markeredgewidth=0.7,
            markeredgecolor=colour, markerfacecolor=inside,
        )  # fmt: skip
    axis.set_xlim(low, high)
    axis.set_ylim(low, high)
    axis.set_aspect("equal")
    text = f"R2 {number(row['all']['r2'], 2)}\n{row['all']['priced']} of {row['all']['worlds']} priced"
    axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top", fontsize=8, color=_TEXT)


def _draw_sentence(axis: Any, report: Report) -> None:
    lines = (
        f"A dot is a World, {report['worlds']} in all:",
        f"filled: {report['worlds'] - report['worlds_with_cue']} without a cue,",
        f"open: {report['worlds_with_cue']} with a cue.",
        "On the line the tax is the price;",
        "below it the arm wastes more",
        "than its control. R2 counts Worlds",
        f"with a price of at least {report['identity']:g}.",
    )
    for at, text in enumerate(lines):
        axis.text(0.0, 0.9 - 0.11 * at, text, transform=axis.transAxes, va="top", fontsize=8, color=_TEXT)
