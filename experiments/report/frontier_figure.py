"""The picture: pass@1 against pass@k, the exact frontier of the test set, the arms and the reference rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...retrieval_index.errors import MissingExtraError

__all__ = ["draw_frontier"]

_COLOURS = {"SFT": "#666666", "GRPO": "#c0392b", "Dr. GRPO": "#e08e0b", "DARLING": "#2471a3"}
_HIDDEN = ("untrained",)


def draw_frontier(reports: Sequence[Mapping[str, Any]], folder: Path, *, title: str) -> list[Path]:
    """Draws `frontier.svg` and `frontier.png`.

    Args:
        reports: of `experiments/demo/demo.py`, over one test set; one a seed.
        folder: created where absent.
        title: above the picture.

    Returns:
        The files written. A small dot is a seed, a large one the mean over seeds; with one seed its 95 % intervals over
        questions are drawn.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("the frontier picture", "plots", "matplotlib is not installed")
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frontier = reports[0]["frontier"]
    many = f"pass@{frontier['k']}_plan"
    with mpl.rc_context(
        {"svg.hashsalt": "berrypick", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        points = sorted(frontier["points"])
        axes.plot([p[0] for p in points], [p[1] for p in points], color="black", linewidth=1.2, label="exact frontier")
        _references(axes, reports[0]["references"], frontier["k"])
        for name in reports[0]["arms"]:
            if name not in _HIDDEN:
                _arm(axes, name, [report["arms"][name]["measures"] for report in reports], many)
        axes.set_xlabel("pass@1 (plan)")
        axes.set_ylabel(f"pass@{frontier['k']} (plan)")
        axes.set_title(title, loc="left", fontsize=10)
        axes.legend(frameon=False, loc="lower left")
        folder.mkdir(parents=True, exist_ok=True)
        out = [folder / "frontier.svg", folder / "frontier.png"]
        figure.savefig(out[0], metadata={"Date": None})
        figure.savefig(out[1], dpi=160)
    return out


def _references(axes: Any, rows: Mapping[str, Mapping[str, float]], k: int) -> None:
    for name, row in rows.items():
        if "pass@1" in row and not name.startswith("frontier"):
            axes.plot(row["pass@1"], row[f"pass@{k}"], marker="x", color="black", linestyle="none")
            axes.annotate(
                name, (row["pass@1"], row[f"pass@{k}"]), xytext=(5, -9), textcoords="offset points", fontsize=8
            )


def _arm(axes: Any, name: str, measures: Sequence[Mapping[str, Any]], many: str) -> None:
    colour = _COLOURS.get(name)
    x = [row["pass@1_plan"] for row in measures]
    y = [row[many] for row in measures]
    if len(measures) == 1:
        spread = {
            "xerr": [[x[0]["value"] - x[0]["low"]], [x[0]["high"] - x[0]["value"]]],
            "yerr": [[y[0]["value"] - y[0]["low"]], [y[0]["high"] - y[0]["value"]]],
        }
        axes.errorbar(x[0]["value"], y[0]["value"], fmt="o", color=colour, elinewidth=0.6, label=name, **spread)
        return
    across, up = [point["value"] for point in x], [point["value"] for point in y]
    axes.plot(across, up, "o", color=colour, markersize=3, alpha=0.6)
    axes.plot(sum(across) / len(across), sum(up) / len(up), "o", color=colour, markersize=8, label=name)
