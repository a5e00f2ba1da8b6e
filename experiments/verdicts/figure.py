"""The figure of all systems: pass@1 against pass@k of every arm, with the exact frontier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..grid.system_figure import plain_axis
from ..grid.tables import middle_strength
from ..report.figure_files import can_draw, save_figure
from ..report.format import Report
from ..report.frontier_figure import write_labels
from ..report.palette import arm_colours
from .collect import place_of

__all__ = ["write_figure"]

_TEXT, _GREY = "#222222", "#777777"
_COLUMNS = 2


def write_figure(reports: Mapping[str, Report], folder: Path, name: str) -> list[Path]:
    """Writes NAME.svg and NAME.png, a panel for each experiment; nothing without matplotlib or without a panel."""
    panels = {key: found for key, report in reports.items() if (found := _panel(report))["arms"]}
    if not panels or not can_draw():
        return []
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(5.2 * _COLUMNS, 4.2 * lines), facecolor="white")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(lines, _COLUMNS, squeeze=False).flat)
    figure.subplots_adjust(left=0.07, right=0.98, top=1 - 0.3 / (4.2 * lines), bottom=0.5 / (4.2 * lines), hspace=0.3)
    for axis, (key, panel) in zip(axes, panels.items()):
        _draw(axis, key, panel)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return save_figure(figure, folder, name)


def _panel(report: Report) -> dict[str, Any]:
    """What a panel shows: where, k, points of the frontier, (pass@1, pass@k) of the start and of each arm."""
    place, up = place_of(report), f"pass@{report['group_k']}"
    content = report["conditions"][place]
    arms = {}
    for arm, strengths in content["arms"].items():
        measures = strengths[middle_strength(strengths)]["measures"]
        if measures.get("pass@1") and measures.get(up):
            arms[arm] = measures["pass@1"]["value"], measures[up]["value"]
    start = content["start"]
    if arms and start.get("pass@1") and start.get(up):
        arms = {"start": (start["pass@1"]["value"], start[up]["value"]), **arms}
    frontier = content.get("frontier")
    return {"place": place, "up": up, "frontier": sorted(frontier["points"]) if frontier else [], "arms": arms}


def _draw(axis: Any, name: str, panel: Mapping[str, Any]) -> None:
    arms: Mapping[str, tuple[float, float]] = panel["arms"]
    points = panel["frontier"]
    colours = {**arm_colours([arm for arm in arms if arm != "start"]), "start": _GREY}
    plain_axis(axis, f"{name}: {panel['place']}")
    if points:
        axis.plot([x for x, _ in points], [y for _, y in points], color="black", linewidth=1.2)
    for arm, (x, y) in arms.items():
        axis.plot(x, y, "o", color=colours[arm], markersize=7)
    axis.set_xlabel("pass@1", fontsize=8, color=_TEXT)
    axis.set_ylabel(panel["up"], fontsize=8, color=_TEXT)
    axis.margins(0.12)
    labels: dict[str, tuple[float, ...]] = dict(arms)
    if points:
        labels["exact frontier"] = tuple(points[len(points) // 2])
    axis.set_xlim(*axis.get_xlim())
    axis.set_ylim(*axis.get_ylim())
    write_labels(axis, labels, points)
