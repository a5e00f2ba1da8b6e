"""The frontier figure as files: actual pass@1 against pass@k of the arms, the exact frontier, reference policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

from ...retrieval_index.errors import MissingExtraError
from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..measures.rows import ArmsReport, EstimateRow, FrontierRow, ReferenceRows
from .label_layout import Box, place_labels, text_width
from .notes import frontier_caption
from .palette import arm_colours

__all__ = ["draw_frontier", "write_labels"]

_FONT = 8.5
_GREY = "#777777"

ArmRows = Sequence[Mapping[str, EstimateRow]]
"""The measures of one arm, a row for each seed."""


def draw_frontier(reports: Sequence[ArmsReport], folder: Path, *, title: str) -> list[Path]:
    """Draws `frontier.svg` and `frontier.png`.

    Args:
        reports: one report for each seed, all on World.
        folder: created if it does not exist.
        title: written above the figure.

    Returns:
        The files. A large dot is what a policy did; an open dot joined to it is what a perfect reader makes of the same
        choices. With several seeds, the large dot is the mean and small dots are seeds. With one seed, the 95 %
        intervals over questions are drawn. A policy far from the frontier is drawn at the border, with its values.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("the frontier figure", "plots", "matplotlib is not installed")
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frontier, references = reports[0]["frontier"], reports[0].get("references", {})
    arms = {name: [report["arms"][name]["measures"] for report in reports] for name in reports[0]["arms"]}
    questions = max(arm["num_questions"] for arm in reports[0]["arms"].values())
    caption = frontier_caption(questions).replace("\n", " Small: one seed.\n" if len(reports) > 1 else "\n")
    settings: Any = {"svg.hashsalt": "berrypick", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(6.4, 4.6))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.11, 0.2, 0.86, 0.72))
        _draw(axes, arms, frontier, references)
        axes.set_title(title, loc="left", fontsize=10)
        figure.text(0.02, 0.015, caption, fontsize=7.5, color=_GREY, linespacing=1.4)
        folder.mkdir(parents=True, exist_ok=True)
        out = [folder / "frontier.svg", folder / "frontier.png"]
        figure.savefig(out[0], metadata={"Date": None})
        figure.savefig(out[1], dpi=160, metadata={"Software": None})
    return out


def _draw(axes: Any, arms: Mapping[str, ArmRows], frontier: FrontierRow, references: ReferenceRows) -> None:
    k, points = frontier["k"], sorted(frontier["points"])
    across, up = "pass@1", f"pass@{k}"
    axes.plot([p[0] for p in points], [p[1] for p in points], color="black", linewidth=1.2)
    crosses = {
        name: (row[across], row[up])
        for name, row in references.items()
        if across in row and up in row and not name.startswith("frontier")
    }
    for x, y in crosses.values():
        axes.plot(x, y, marker="x", color="black", linestyle="none", markersize=5)
    drawn = {name: rows for name, rows in arms.items() if all(across in row and up in row for row in rows)}
    means = {name: (_mean(rows, across), _mean(rows, up)) for name, rows in drawn.items()}
    floor = [
        min(axis) - 1.5 * max(max(axis) - min(axis), 0.1) for axis in zip(*points, *crosses.values(), strict=False)
    ]
    far = {name: at for name, at in means.items() if any(value < low for value, low in zip(at, floor))}
    if len(far) == len(means):
        far = {}
    colours = arm_colours(arms)
    planned = [_arm(axes, rows, across, up, colours[name]) for name, rows in drawn.items() if name not in far]
    axes.margins(0.1)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    left, bottom, right, top = max(0.0, left), max(0.0, bottom), min(1.0, right), min(1.0, top)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xlabel(measure_of(across).label)
    axes.set_ylabel(measure_of(up).label)
    labels: dict[str, tuple[float, ...]] = {}
    for name, (x, y) in means.items():
        at = max(x, left), max(y, bottom)
        if name in far:
            axes.plot(*at, "o", color=colours[name], markersize=8, clip_on=False)
            name = f"{name} at {x:.3f}, {y:.3f}, outside"
        labels[name] = at
    labels |= {**crosses, "exact frontier": tuple(points[len(points) // 2])}
    seeds = [(row[across]["value"], row[up]["value"]) for name in drawn if name not in far for row in drawn[name]]
    write_labels(axes, labels, [*points, *seeds, *filter(None, planned)])


def _arm(axes: Any, rows: ArmRows, across: str, up: str, colour: str) -> tuple[float, float] | None:
    """Draws an arm; returns where its open mark is."""
    x, y = _mean(rows, across), _mean(rows, up)
    mark = None
    planned = [f"{key}_plan" for key in (across, up)]
    if all(key in row for row in rows for key in planned):
        to = _mean(rows, planned[0]), _mean(rows, planned[1])
        if abs(to[0] - x) + abs(to[1] - y) > 0.003:
            mark = to
            axes.plot([x, to[0]], [y, to[1]], color=colour, linewidth=0.8, alpha=0.5)
            axes.plot(*to, "o", markerfacecolor="white", markeredgecolor=colour, markersize=6, alpha=0.7)
    if len(rows) > 1:
        axes.plot(
            [r[across]["value"] for r in rows], [r[up]["value"] for r in rows], "o", color=colour, ms=3, alpha=0.6
        )
    else:
        one, many = rows[0][across], rows[0][up]
        axes.plot([one["low"], one["high"]], [y, y], color=colour, linewidth=0.7, alpha=0.7)
        axes.plot([x, x], [many["low"], many["high"]], color=colour, linewidth=0.7, alpha=0.7)
    axes.plot(x, y, "o", color=colour, markersize=8)
    return mark


def _mean(rows: ArmRows, key: str) -> float:
    return fmean(row[key]["value"] for row in rows)


def write_labels(axes: Any, labels: Mapping[str, tuple[float, ...]], occupied: Sequence[Sequence[float]]) -> None:
    """Writes each name next to its point; places are chosen in points of 1/72 inch, with y downwards."""
    figure = axes.figure
    scale = 72 / figure.dpi

    def at(point: Sequence[float]) -> tuple[float, float]:
        x, y = axes.transData.transform(point)
        return x * scale, -y * scale

    def from_points(point: tuple[float, float]) -> tuple[float, float]:
        x, y = axes.transData.inverted().transform((point[0] / scale, -point[1] / scale))
        return float(x), float(y)

    frame = axes.get_window_extent()
    bounds = Box(frame.x0 * scale + 2, -frame.y1 * scale, frame.x1 * scale, -frame.y0 * scale - 2)
    texts = [" ".join(safe_text(name).split())[:48] for name in labels]
    anchors = [at(point) for point in labels.values()]
    obstacles = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in [*map(at, occupied), *anchors]]
    sizes = [(text_width(text, _FONT) + 2, _FONT + 2) for text in texts]
    for text, (x, y), box in zip(texts, anchors, place_labels(anchors, sizes, bounds=bounds, obstacles=obstacles)):
        near_x, near_y = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
        if (near_x - x) ** 2 + (near_y - y) ** 2 > 14**2:
            ends = [from_points(end) for end in ((x, y), (near_x, near_y))]
            axes.plot(*zip(*ends), color=_GREY, linewidth=0.5)
        side = "left" if near_x > x else "right" if near_x < x else "center"
        offset = {"left": box.left, "right": box.right, "center": (box.left + box.right) / 2}[side] - x
        axes.annotate(
            text,
            xy=from_points((x, y)),
            xytext=(offset, y - box.bottom + 2),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=_FONT,
            parse_math=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.75},
        )
