"""Figures of one arm for a notebook: the pass@k curve, its place at the frontier, its numbers of searches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...retrieval_index.errors import MissingExtraError
from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..measures.rows import ArmsReport, EstimateRow
from .palette import OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["frontier_figure", "pass_at_k_figure", "searches_figure"]

_COLOUR, _WRONG = OKABE_ITO[:2]


def pass_at_k_figure(report: ArmsReport, name: str) -> Figure:
    """pass@k against k with 95 % intervals; on World also planned pass@k, of a perfect reader.

    Args:
        report: on at least the arm `name`.
        name: the arm.
    """
    measures = report["arms"][name]["measures"]
    with _drawing(name) as (figure, axes):
        planned = _curve(measures, r"pass@(\d+)_plan")
        if planned:
            axes.plot(list(planned), [row["value"] for row in planned.values()], "--", color="#666666", label="planned")
        curve = _curve(measures, r"pass@(\d+)")
        rows = list(curve.values())
        axes.errorbar(
            list(curve), [row["value"] for row in rows], yerr=_spread(rows), fmt="o-", color=_COLOUR, label="pass@k"
        )
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(curve), [str(k) for k in curve])
        axes.minorticks_off()
        axes.set_xlabel("k rollouts")
        axes.set_ylabel("share of questions")
        if planned:
            axes.legend(frameon=False, loc="lower right")
    return figure


def frontier_figure(report: ArmsReport, name: str) -> Figure:
    """pass@1 against pass@k with 95 % intervals, and the exact frontier of the same questions.

    A faint open mark shows the planned values, of a perfect reader, where they differ.

    Args:
        report: with a frontier, on at least the arm `name`.
        name: the arm.
    """
    frontier = report["frontier"]
    across, up = "pass@1", f"pass@{frontier['k']}"
    measures = report["arms"][name]["measures"]
    with _drawing(name) as (figure, axes):
        points = sorted(frontier["points"])
        axes.plot([x for x, _ in points], [y for _, y in points], color="black", linewidth=1.2, label="exact frontier")
        x, y = measures[across], measures[up]
        axes.errorbar(
            x["value"], y["value"], xerr=_spread([x]), yerr=_spread([y]), fmt="o", color=_COLOUR, label="these rollouts"
        )
        planned = [measures[f"{key}_plan"]["value"] for key in (across, up) if f"{key}_plan" in measures]
        if len(planned) == 2 and abs(planned[0] - x["value"]) + abs(planned[1] - y["value"]) > 0.003:
            axes.plot(*planned, "o", markerfacecolor="none", markeredgecolor=_COLOUR, alpha=0.5, label="planned")
        axes.set_xlabel(measure_of(across).label)
        axes.set_ylabel(measure_of(up).label)
        axes.legend(frameon=False, loc="lower left")
    return figure


def searches_figure(counts: Mapping[int, tuple[int, int]], name: str) -> Figure:
    """Episodes by their number of searches, right and other ones.

    Args:
        counts: number of searches -> (right episodes, other episodes).
        name: written above the figure.
    """
    with _drawing(name) as (figure, axes):
        at = sorted(counts)
        right, other = [counts[n][0] for n in at], [counts[n][1] for n in at]
        axes.bar(at, right, color=_COLOUR, label="right")
        axes.bar(at, other, bottom=right, color=_WRONG, alpha=0.6, label="not right")
        axes.set_xticks(at)
        axes.set_xlabel("searches of an episode")
        axes.set_ylabel("episodes")
        axes.legend(frameon=False)
    return figure


@contextmanager
def _drawing(title: str) -> Iterator[tuple[Figure, Any]]:
    """A figure in the house's style, and its axes. It belongs to no global list, so nothing needs closing."""
    if find_spec("matplotlib") is None:
        raise MissingExtraError("a figure", "plots", "matplotlib is not installed")
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_title(safe_text(title).replace("$", r"\$"), loc="left", fontsize=10)  # $ would start a formula
        yield figure, axes


def _curve(measures: Mapping[str, EstimateRow], pattern: str) -> dict[int, EstimateRow]:
    """k -> estimate, of the measures whose key is the pattern with a number."""
    found = {int(match[1]): row for key, row in measures.items() if (match := re.fullmatch(pattern, key))}
    return dict(sorted(found.items()))


def _spread(rows: list[EstimateRow]) -> list[list[float]]:
    """Distances from the values down to the lower and up to the upper ends of the intervals, [2][rows]."""
    return [
        [max(0.0, row["value"] - row["low"]) for row in rows],
        [max(0.0, row["high"] - row["value"]) for row in rows],
    ]
