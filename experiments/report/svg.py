"""Figures as SVG text, without a plotting library: the frontier with its policies, and measures over training steps.

Ink is `currentColor`, so that a page in dark colours draws light lines. Names are written next to what they name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..measures.rows import EstimateRow, FrontierRow, ReferenceRows
from .label_layout import Box, place_labels, text_width
from .palette import arm_colours
from .svg_plot import Plot, span_of

__all__ = ["Points", "Series", "curve_svg", "frontier_svg"]

Points = Mapping[str, tuple[EstimateRow, EstimateRow]]
"""Name of an arm -> (pass@1, pass@k)."""

Series = Mapping[str, Sequence[tuple[float, EstimateRow]]]
"""Name of an arm -> (training step, estimate) in order of the steps."""


def frontier_svg(
    points: Points,
    frontier: FrontierRow,
    *,
    planned: Points | None = None,
    references: ReferenceRows | None = None,
    width: int = 640,
) -> str:
    """Draws the exact frontier and, for each arm, a disc with its intervals.

    Args:
        points: what each arm did: its actual pass@1 and pass@k.
        frontier: the exact frontier of the same questions.
        planned: what a perfect reader makes of the arm's choices; an open mark, joined to the arm by a thin line. Left
            out where it would touch the arm's disc.
        references: exact values of reference policies; small crosses.
        width: of the picture in pixels.
    """
    k, planned = frontier["k"], planned or {}
    across, up = measure_of("pass@1").label, measure_of(f"pass@{k}").label
    crosses = _crosses(references or {}, k)
    plot = _frontier_plot(points, planned, frontier, crosses, width)
    path = " ".join(f"{plot.x(x):.1f},{plot.y(y):.1f}" for x, y in sorted(frontier["points"]))
    parts = [plot.open(f"{across} against {up}"), *plot.axes(across, up)]
    parts.append(f'<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="1.6"/>')
    labels: list[tuple[str, tuple[float, float]]] = []
    for name, at in crosses.items():
        x, y = plot.at(*at)
        parts.append(
            f'<path d="M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m0 -7l-7 7" stroke="currentColor" fill="none" opacity=".7"/>'
        )
        labels.append((name, (x, y)))
    obstacles = [plot.around(plot.at(*point), 3) for point in frontier["points"]]
    obstacles += [plot.around(anchor, 5) for _, anchor in labels]
    lines: list[Box] = []
    for name, colour in arm_colours(points).items():
        parts += _arm(plot, name, points[name], planned.get(name), colour)
        one, many = points[name]
        obstacles.append(plot.around(plot.at(one["value"], many["value"]), 6))
        lines += _intervals(plot, one, many)
        if name in planned:
            obstacles.append(plot.around(plot.at(*(row["value"] for row in planned[name])), 5))
        inside = plot.holds(one["value"], many["value"])
        far = "" if inside else f" at {one['value']:.3f}, {many['value']:.3f}, outside"
        labels.append((f"{name}{far}", plot.at(one["value"], many["value"])))
    middle = sorted(frontier["points"])[len(frontier["points"]) // 2]
    labels = [*labels[len(crosses) :], *labels[: len(crosses)], ("exact frontier", plot.at(*middle))]
    return "\n".join([*parts, *_labels(plot, labels, obstacles, lines), "</svg>"])


def curve_svg(series: Series, measure: str, *, onsets: Mapping[str, float] | None = None, width: int = 640) -> str:
    """Draws a measure over training steps: a line for each arm, with the 95 % interval as a band.

    Args:
        series: the lines.
        measure: key of the measure; its label names the vertical axis.
        onsets: name of an arm -> the step from which on it is narrower; a dashed line.
        width: of the picture in pixels.
    """
    drawn = {name: points for name, points in series.items() if points}
    steps = [step for points in drawn.values() for step, _ in points]
    values = [end for points in drawn.values() for _, row in points for end in (row["low"], row["high"])]
    plot = Plot(width, span_of(steps or [0, 1]), span_of(values or [0, 1]), steps=True)
    parts = [plot.open(f"{measure_of(measure).label} over training steps")]
    parts += plot.axes("training step", measure_of(measure).label)
    labels = []
    for name, colour in arm_colours(drawn).items():
        points = drawn[name]
        line = " ".join(f"{plot.x(step):.1f},{plot.y(row['value']):.1f}" for step, row in points)
        band = [(step, row["high"]) for step, row in points] + [(step, row["low"]) for step, row in reversed(points)]
        outline = " ".join(f"{plot.x(step):.1f},{plot.y(value):.1f}" for step, value in band)
        parts.append(f'<polygon points="{outline}" fill="{colour}" opacity=".18"/>')
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [plot.disc(step, row["value"], colour, 3) for step, row in points]
        last, row = points[-1]
        if len(drawn) > 1:  # the line of a figure with one line needs no name
            labels.append((name, plot.at(last, row["value"])))
        if onsets is not None and name in onsets:
            x = plot.x(onsets[name])
            parts.append(plot.dashed(onsets[name], colour))
            labels.append((f"narrower from step {onsets[name]:g}", (x, plot.inner.top + 8)))
    obstacles = [plot.around(plot.at(step, row["value"]), 4) for points in drawn.values() for step, row in points]
    return "\n".join([*parts, *_labels(plot, labels, obstacles), "</svg>"])


def _crosses(references: ReferenceRows, k: int) -> dict[str, tuple[float, float]]:
    return {
        name: (row["pass@1"], row[f"pass@{k}"])
        for name, row in references.items()
        if "pass@1" in row and f"pass@{k}" in row and not name.startswith("frontier")
    }


def _frontier_plot(
    points: Points, planned: Points, frontier: FrontierRow, crosses: Mapping[str, tuple[float, float]], width: int
) -> Plot:
    """The scales: around the frontier and the arms near it. Arms far below would squeeze all others into a corner."""
    exact = [*frontier["points"], *crosses.values()]
    arms = {name: (one["value"], many["value"]) for name, (one, many) in points.items()}
    floor = [min(axis) - 1.5 * max(max(axis) - min(axis), 0.1) for axis in zip(*exact)]
    near = [name for name, arm in arms.items() if all(value >= low for value, low in zip(arm, floor))] or [*arms]
    drawn = [pair for name in near for pair in (points[name], planned.get(name)) if pair is not None]
    ends = [(one[end], many[end]) for one, many in drawn for end in ("low", "value", "high")]
    xs, ys = zip(*exact, *ends)
    return Plot(width, span_of(xs, least=0.0, most=1.0), span_of(ys, least=0.0, most=1.0))


def _arm(
    plot: Plot,
    name: str,
    actual: tuple[EstimateRow, EstimateRow],
    planned: tuple[EstimateRow, EstimateRow] | None,
    colour: str,
) -> list[str]:
    one, many = actual
    parts = []
    if planned is not None:
        (x1, y1), (x2, y2) = plot.at(one["value"], many["value"]), plot.at(*(row["value"] for row in planned))
        inside = plot.holds(*(row["value"] for row in planned))
        if inside and (x1 - x2) ** 2 + (y1 - y2) ** 2 > 9**2:
            parts.append(
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" opacity=".45"/>'
                f'<circle cx="{x2:.1f}" cy="{y2:.1f}" r="4" fill="none" stroke="{colour}" opacity=".7">'
                f"<title>{escape(safe_text(name))}, planned</title></circle>"
            )
    if plot.holds(one["value"], many["value"]):
        parts += [
            plot.line((one["low"], many["value"]), (one["high"], many["value"]), colour),
            plot.line((one["value"], many["low"]), (one["value"], many["high"]), colour),
        ]
    return [*parts, plot.disc(one["value"], many["value"], colour, 5, safe_text(name))]


def _intervals(plot: Plot, one: EstimateRow, many: EstimateRow) -> list[Box]:
    """Where the intervals of an arm are drawn."""
    x, y = plot.at(one["value"], many["value"])
    wide = Box(plot.x(one["low"]), y - 1, plot.x(one["high"]), y + 1)
    return [wide, Box(x - 1, plot.y(many["high"]), x + 1, plot.y(many["low"]))]


def _labels(
    plot: Plot,
    labels: Sequence[tuple[str, tuple[float, float]]],
    obstacles: Sequence[Box],
    lines: Sequence[Box] = (),
) -> list[str]:
    """Writes each name next to its point, with a thin line to the point if it is far."""
    room = int((plot.inner.right - plot.inner.left) / text_width("x", plot.font)) - 2
    texts = [_short(safe_text(name), min(48, room)) for name, _ in labels]
    sizes = [(text_width(text, plot.font) + 2, plot.font + 3.0) for text in texts]
    boxes = place_labels([anchor for _, anchor in labels], sizes, bounds=plot.inner, obstacles=obstacles, lines=lines)
    parts = []
    for text, (_, (x, y)), box in zip(texts, labels, boxes):
        near_x, near_y = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
        if (near_x - x) ** 2 + (near_y - y) ** 2 > 20**2:
            parts.append(
                f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{near_x:.1f}" y2="{near_y:.1f}" stroke="currentColor" '
                'stroke-width=".6" opacity=".5"/>'
            )
        anchor = "start" if near_x >= x else "end"
        at = box.left if anchor == "start" else box.right
        if box.left < x < box.right:
            anchor, at = "middle", (box.left + box.right) / 2
        parts.append(
            f'<text class="name" x="{at:.1f}" y="{box.bottom - 3.5:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )
    return parts


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
