"""The figure of the study: accuracy against breadth, SFT's temperatures as a curve and RL's agents as points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..report.figure_files import can_draw, save_figure
from ..report.format import Report
from ..report.palette import arm_colours
from .claims import TEMPERATURES

__all__ = ["write_figure"]

_TEXT = "#222222"
_LABELS = dict(zip(TEMPERATURES, ("greedy", "T 0.5", "T 0.7", "T 1")))


def write_figure(report: Report, folder: Path) -> list[Path]:
    """Writes plane.svg and plane.png; without the `plots` extra, or without cells, it writes nothing."""
    points = {
        (row["agent"], row["setting"]): (row["measures"]["breadth"], row["measures"]["em"])
        for row in report["rows"]
        if row["setting"] in _LABELS and {"em", "breadth"} <= row["measures"].keys()
    }
    return save_figure(_figure(points), folder, "plane") if points and can_draw() else []


def _figure(points: dict[tuple[str, str], tuple[Report, Report]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained", facecolor="white")
    axis = figure.subplots()
    axis.set_facecolor("white")
    axis.grid(alpha=0.25, linewidth=0.5)
    axis.tick_params(labelsize=8, colors=_TEXT)
    axis.set_xlabel("breadth: supporting passages that the rollouts of a question found", fontsize=9, color=_TEXT)
    axis.set_ylabel("exact match of one rollout", fontsize=9, color=_TEXT)
    agents = list(dict.fromkeys(agent for agent, _ in points))
    colours = arm_colours(["sft" if agent == "sft_diverse" else agent for agent in agents])
    for agent, colour in zip(agents, colours.values()):
        own = [(setting, *points[agent, setting]) for setting in TEMPERATURES if (agent, setting) in points]
        style = "-o" if agent == "sft_diverse" else ":o"  # the curve that anybody has for free, and paths of two points
        axis.plot(
            [breadth["value"] for _, breadth, _ in own],
            [em["value"] for _, _, em in own],
            style,
            color=colour,
            markersize=4,
            linewidth=1.1,
        )
        for setting, breadth, em in own:
            if setting == TEMPERATURES[-1]:
                spread = [[abs(em["value"] - em["low"])], [abs(em["high"] - em["value"])]]
                axis.errorbar(breadth["value"], em["value"], yerr=spread, color=colour, capsize=2, linewidth=0.8)
            text = f"{agent}, {_LABELS[setting]}" if setting == TEMPERATURES[-1] else _LABELS[setting]
            axis.annotate(
                text,
                (breadth["value"], em["value"]),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8,
                color=colour,
            )
    return figure
