"""The figure of a published system: its published figures beside ours, and measures along training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..report.figure_files import can_draw, save_figure
from ..report.format import Report
from ..report.palette import arm_colours
from .system_parts import Panel, Published
from .tables import middle_strength

__all__ = ["plain_axis", "write_system_figure"]

_GREY, _TEXT = "#777777", "#222222"
_GAP = 0.07
"""Least distance of two labels, as a share of the panel's height."""


def write_system_figure(
    report: Report, published: Published | None, panels: Sequence[Panel], folder: Path, name: str
) -> list[Path]:
    """Writes NAME.svg and NAME.png; equal reports give equal files.

    Without the `plots` extra it writes nothing and logs a warning; a panel without its condition is left out.
    """
    shown = [panel for panel in panels if _lines(report, panel)]
    beside = published if published is not None and _both(report, published) else None
    if not (shown or beside) or not can_draw():
        return []
    from matplotlib.figure import Figure

    number = len(shown) + (beside is not None)
    figure = Figure(figsize=(3.9 * number, 3.4), layout="constrained", facecolor="white")
    axes = list(figure.subplots(1, number, squeeze=False)[0])
    if beside is not None:
        _draw_published(axes.pop(0), _both(report, beside), beside)
    colours = arm_colours(dict.fromkeys(arm for panel in panels for arm in panel.arms))
    for axis, panel in zip(axes, shown):
        _draw_panel(axis, panel, _lines(report, panel), colours)
    return save_figure(figure, folder, name)


def _ends(report: Report, condition: str, arm: str) -> Report:
    strengths = report["conditions"].get(condition, {}).get("arms", {}).get(arm)
    found: Report = strengths[middle_strength(strengths)] if strengths else {}
    return found


def _both(report: Report, published: Published) -> list[tuple[str, float, float, float]]:
    """(label, published, ours, half of our interval), per cent over the baseline; the interval is the arm's alone."""
    out = []
    base = _ends(report, published.condition, published.baseline).get("measures", {})
    names = list(published.columns.items())
    for arm, (label, values) in published.rows.items():
        ours = _ends(report, published.condition, arm)
        for at, (head, measure) in enumerate(names):
            row, other = ours.get("difference", {}).get(measure), base.get(measure)
            if arm == published.baseline or not row or not other:
                continue
            theirs = 100 * (values[at] / published.rows[published.baseline][1][at] - 1)
            half = 0.0 if row["low"] is None else (row["high"] - row["low"]) / 2
            out.append((f"{label}, {head}", theirs, 100 * row["value"] / other["value"], 100 * half / other["value"]))
    return out


def _draw_published(axis: Any, rows: Sequence[tuple[str, float, float, float]], published: Published) -> None:
    base = published.rows[published.baseline][0]
    plain_axis(axis, f"published (hollow) and ours (filled),\nper cent over {base}")
    axis.axvline(0, color=_GREY, linewidth=0.8)
    for at, (label, theirs, ours, half) in enumerate(rows):
        y = -at
        axis.plot(theirs, y, "o", markerfacecolor="white", color=_TEXT, markersize=6)
        axis.errorbar(ours, y - 0.25, xerr=half, fmt="o", color="#0072b2", markersize=5, linewidth=1)
        axis.annotate(label, (max(theirs, ours + half), y), (6, 1), textcoords="offset points", fontsize=8, color=_TEXT)
    low, high = axis.get_xlim()
    axis.set_xlim(low, high + 0.45 * (high - low))
    axis.set_ylim(-len(rows) + 0.4, 0.6)
    axis.set_yticks([])


def _lines(report: Report, panel: Panel) -> dict[str, list[tuple[int, float]]]:
    """Label -> (step, mean over worlds), in the order of steps."""
    out = {}
    wanted = [(arm, arm, panel.measure) for arm in panel.arms]
    if panel.reference:
        wanted.append((panel.reference[0], panel.arms[0], panel.reference[1]))
    for label, arm, measure in wanted:
        way = _ends(report, panel.condition, arm).get("trajectory", {})
        points = [(int(step), values[measure]) for step, values in way.items() if values.get(measure) is not None]
        if points:
            out[label] = sorted(points)
    return out


def _draw_panel(axis: Any, panel: Panel, lines: Mapping[str, Sequence[tuple[int, float]]], colours: Any) -> None:
    plain_axis(axis, panel.title)
    for label, points in lines.items():
        style = "-" if label in colours else ":"
        colour = colours.get(label, _GREY)
        axis.plot([x for x, _ in points], [y for _, y in points], style, color=colour, linewidth=1.3, marker=".")
    axis.set_xlabel(panel.axis, fontsize=8, color=_TEXT)
    left, right = axis.get_xlim()
    bottom, top = axis.get_ylim()
    axis.set_xticks([tick for tick in axis.get_xticks() if left <= tick <= right and tick == round(tick)])
    axis.set_xlim(left, right + 0.6 * (right - left))
    names = sorted(lines, key=lambda name: -lines[name][-1][1])
    place = top
    for at, name in enumerate(names):
        x, y = lines[name][-1]
        room = bottom + (len(names) - at - 0.5) * _GAP * (top - bottom)  # those below need their places, too
        place = max(min(y, place - _GAP * (top - bottom)), room)
        axis.annotate(
            name, (x, y), (right + 0.03 * (right - left), place), fontsize=8, va="center",
            color=colours.get(name, _GREY), arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": _GREY},
        )  # fmt: skip


def plain_axis(axis: Any, title: str) -> None:
    """A white panel with a title, small numbers and a faint grid."""
    axis.set_facecolor("white")
    axis.set_title(title, fontsize=9, color=_TEXT)
    axis.tick_params(labelsize=7, colors=_TEXT)
    axis.grid(alpha=0.25, linewidth=0.5)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
