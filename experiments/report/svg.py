"""The frontier picture as SVG text, without a plotting library: the exact frontier, and arms with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..measures.rows import EstimateRow, FrontierRow

__all__ = ["frontier_svg"]

_WIDTH, _HEIGHT = 640, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 150, 20, 45
_COLOURS = ("#c0392b", "#2471a3", "#1e8449", "#b9770e", "#7d3c98", "#117a65", "#555555", "#d35400")


def frontier_svg(points: Mapping[str, tuple[EstimateRow, EstimateRow]], frontier: FrontierRow) -> str:
    """Draws the frontier and a cross for each arm.

    Args:
        points: name of an arm -> (planned pass@1, planned pass@k).
        frontier: the exact frontier of the same questions.
    """
    curve, across, up = frontier["points"], measure_of("pass@1_plan"), measure_of(f"pass@{frontier['k']}_plan")
    xs = [x for x, _ in curve] + [end for x, _ in points.values() for end in _ends(x)]
    ys = [y for _, y in curve] + [end for _, y in points.values() for end in _ends(y)]
    scale = _Scale(_range(xs), _range(ys))
    path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in curve)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{across.label} against {up.label}</title>',
        *_axes(scale, across.label, up.label),
        f'<polyline points="{path}" fill="none" stroke="black" stroke-width="1.6"/>',
        f'<text x="{_WIDTH - _RIGHT + 12}" y="{_TOP + 12}">— exact frontier</text>',
    ]
    for at, (arm, (x, y)) in enumerate(points.items()):
        parts += _arm(scale, arm, x, y, _COLOURS[at % len(_COLOURS)], _TOP + 32 + 18 * at)
    return "\n".join([*parts, "</svg>"])


def _ends(row: EstimateRow) -> tuple[float, float, float]:
    return row["value"], row["low"], row["high"]


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = 0.06 * (high - low) or 0.05
    return max(0.0, low - pad), min(1.0, high + pad)


class _Scale:
    """Values to pixels."""

    def __init__(self, xs: tuple[float, float], ys: tuple[float, float]) -> None:
        self.xs, self.ys = xs, ys

    def x(self, value: float) -> float:
        return _LEFT + (value - self.xs[0]) / (self.xs[1] - self.xs[0]) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - self.ys[0]) / (self.ys[1] - self.ys[0]) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(scale: _Scale, across: str, up: str) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        f'<rect x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{bottom - _TOP}" fill="none" stroke="#999"/>'
    ]
    for at in range(5):
        x = scale.xs[0] + at / 4 * (scale.xs[1] - scale.xs[0])
        y = scale.ys[0] + at / 4 * (scale.ys[1] - scale.ys[0])
        parts.append(f'<text x="{scale.x(x):.1f}" y="{bottom + 16}" text-anchor="middle">{x:.2f}</text>')
        parts.append(f'<text x="{_LEFT - 6}" y="{scale.y(y) + 4:.1f}" text-anchor="end">{y:.2f}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{bottom + 36}" text-anchor="middle">{across}</text>')
    parts.append(f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{up}</text>')
    return parts


def _arm(scale: _Scale, arm: str, one: EstimateRow, many: EstimateRow, colour: str, legend_y: int) -> list[str]:
    x, y = scale.x(one["value"]), scale.y(many["value"])
    lines = (
        (scale.x(one["low"]), y, scale.x(one["high"]), y),
        (x, scale.y(many["low"]), x, scale.y(many["high"])),
    )
    crosses = [
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" opacity=".6"/>'
        for x1, y1, x2, y2 in lines
    ]
    name = escape(safe_text(arm))
    legend = f'<circle cx="{_WIDTH - _RIGHT + 18}" cy="{legend_y - 4}" r="4" fill="{colour}"/>'
    return [
        *crosses,
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"><title>{name}</title></circle>',
        legend,
        f'<text x="{_WIDTH - _RIGHT + 28}" y="{legend_y}">{name}</text>',
    ]
