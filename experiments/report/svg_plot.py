"""The frame of an SVG figure: scales from values to pixels, axes with ticks, and marks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from html import escape

from .label_layout import Box

__all__ = ["Plot", "span_of"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 18, 14, 44


def span_of(values: Sequence[float], *, least: float = -math.inf, most: float = math.inf) -> tuple[float, float]:
    """The range of values with some room at both ends, cut to the bounds."""
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.05
    return max(least, low - room), min(most, high + room)


class Plot:
    """Scales and marks of one figure. Values outside the ranges are drawn at the border."""

    font = 13

    def __init__(self, width: int, xs: tuple[float, float], ys: tuple[float, float], *, steps: bool = False) -> None:
        self.width, self.height = width, round(width * 0.5 + 110)
        self.xs, self.ys, self._steps = xs, ys, steps
        self.inner = Box(_LEFT + 2, _TOP + 2, width - _RIGHT - 2, self.height - _BOTTOM - 2)

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return _LEFT + _share(value, self.xs) * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return self.height - _BOTTOM - _share(value, self.ys) * (self.height - _TOP - _BOTTOM)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point in pixels."""
        return self.x(x), self.y(y)

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies within the ranges."""
        return self.xs[0] <= x <= self.xs[1] and self.ys[0] <= y <= self.ys[1]

    def around(self, point: tuple[float, float], radius: float) -> Box:
        """The square around a point, in pixels."""
        x, y = point
        return Box(x - radius, y - radius, x + radius, y + radius)

    def open(self, title: str) -> str:
        """The start tag and the title of the figure."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" role="img" font-family="sans-serif" font-size="{self.font}" fill="currentColor">'
            f"<title>{escape(title)}</title>"
        )

    def axes(self, across: str, up: str) -> list[str]:
        """The frame, the ticks with their numbers, and the names of the axes."""
        right, bottom = self.width - _RIGHT, self.height - _BOTTOM
        parts = [f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="currentColor" opacity=".5"/>']
        across_ticks = _ticks(self.xs, whole=self._steps)
        for value in across_ticks:
            x, text = self.x(value), f"{value:.0f}" if self._steps else _tick_text(value, across_ticks)
            parts.append(f'<path d="M{x:.1f} {bottom}v4" stroke="currentColor" opacity=".5"/>')
            parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle" opacity=".75">{text}</text>')
        heights = _ticks(self.ys)
        for value in heights:
            y, text = self.y(value), _tick_text(value, heights)
            parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="currentColor" opacity=".09"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" opacity=".75">{text}</text>')
        middle = (_TOP + bottom) / 2
        parts.append(f'<text x="{(_LEFT + right) / 2}" y="{bottom + 37}" text-anchor="middle">{escape(across)}</text>')
        parts.append(
            f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(up)}</text>'
        )
        return parts

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> str:
        """A thin line between two points, given as values."""
        (x1, y1), (x2, y2) = self.at(*start), self.at(*end)
        return (
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="1.2" '
            'opacity=".75"/>'
        )

    def dashed(self, x: float, colour: str) -> str:
        """A dashed vertical line."""
        at, height = self.x(x), self.height - _BOTTOM
        return f'<path d="M{at:.1f} {_TOP}V{height}" stroke="{colour}" stroke-dasharray="5 4" stroke-width="1.3"/>'

    def disc(self, x: float, y: float, colour: str, radius: float, title: str = "") -> str:
        """A filled disc; its title is shown by a pointer that rests on it."""
        named = f"<title>{escape(title)}</title>" if title else ""
        return f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius}" fill="{colour}">{named}</circle>'


def _share(value: float, span: tuple[float, float]) -> float:
    return min(1.0, max(0.0, (value - span[0]) / (span[1] - span[0])))


def _ticks(span: tuple[float, float], *, whole: bool = False) -> list[float]:
    """About five round values inside the range."""
    rough = (span[1] - span[0]) / 5
    size: float = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)
    step = max(step, 1.0) if whole else step
    first = math.ceil(span[0] / step - 1e-9)
    return [at * step for at in range(first, math.floor(span[1] / step + 1e-9) + 1)]


def _tick_text(value: float, ticks: Sequence[float]) -> str:
    """The value with as many digits as tell the ticks apart, at least two below 10 and one above."""
    apart = min((b - a for a, b in itertools.pairwise(ticks)), default=1.0)
    return f"{value:.{max(2 if abs(value) < 10 else 1, math.ceil(-math.log10(apart) - 1e-9))}f}"
