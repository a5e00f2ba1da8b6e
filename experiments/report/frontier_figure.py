"""The demo's figure: pass@1 against pass@k of the arms, the reference policies and the exact frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...retrieval_index.errors import MissingExtraError
from ..measures.measures import measure_of
from ..measures.rows import ArmsReport, EstimateRow, ReferenceRows

__all__ = ["draw_frontier"]

_COLOURS = {"SFT": "#666666", "GRPO": "#c0392b", "Dr. GRPO": "#e08e0b", "DARLING": "#2471a3"}
_HIDDEN = ("untrained",)


def draw_frontier(reports: Sequence[ArmsReport], folder: Path, *, title: str) -> list[Path]:
    """Draws `frontier.svg` and `frontier.png`.

    Args:
        reports: one report for each seed, all on World.
        folder: created if it does not exist.
        title: written above the figure.

    Returns:
        The files. A small dot is a seed and a large dot the mean over seeds. For a single seed, the 95 % intervals over
        questions are drawn.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("the frontier figure", "plots", "matplotlib is not installed")
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frontier, references = reports[0]["frontier"], reports[0]["references"]
    up = f"pass@{frontier['k']}_plan"
    with mpl.rc_context(
        {"svg.hashsalt": "berrypick", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        points = sorted(frontier["points"])
        axes.plot([p[0] for p in points], [p[1] for p in points], color="black", linewidth=1.2, label="exact frontier")
        _references(axes, references, frontier["k"])
        for name in reports[0]["arms"]:
            if name not in _HIDDEN:
                _arm(axes, name, [report["arms"][name]["measures"] for report in reports], up)
        axes.set_xlabel(measure_of("pass@1_plan").label)
        axes.set_ylabel(measure_of(up).label)
        axes.set_title(title, loc="left", fontsize=10)
        axes.legend(frameon=False, loc="lower left")
        folder.mkdir(parents=True, exist_ok=True)
        out = [folder / "frontier.svg", folder / "frontier.png"]
        figure.savefig(out[0], metadata={"Date": None})
        figure.savefig(out[1], dpi=160)
    return out


def _references(axes: Any, rows: ReferenceRows, k: int) -> None:
    for name, row in rows.items():
        if "pass@1" in row and not name.startswith("frontier"):
            axes.plot(row["pass@1"], row[f"pass@{k}"], marker="x", color="black", linestyle="none")
            axes.annotate(
                name, (row["pass@1"], row[f"pass@{k}"]), xytext=(5, -9), textcoords="offset points", fontsize=8
            )


def _arm(axes: Any, name: str, measures: Sequence[Mapping[str, EstimateRow]], up: str) -> None:
    colour = _COLOURS.get(name)
    x = [row["pass@1_plan"] for row in measures]
    y = [row[up] for row in measures]
    if len(measures) == 1:
        spread = {
            "xerr": [[x[0]["value"] - x[0]["low"]], [x[0]["high"] - x[0]["value"]]],
            "yerr": [[y[0]["value"] - y[0]["low"]], [y[0]["high"] - y[0]["value"]]],
        }
        axes.errorbar(x[0]["value"], y[0]["value"], fmt="o", color=colour, elinewidth=0.6, label=name, **spread)
        return
    xs, ys = [point["value"] for point in x], [point["value"] for point in y]
    axes.plot(xs, ys, "o", color=colour, markersize=3, alpha=0.6)
    axes.plot(sum(xs) / len(xs), sum(ys) / len(ys), "o", color=colour, markersize=8, label=name)
