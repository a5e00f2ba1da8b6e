"""Places labels next to points so that no label covers another label, a point or a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Box", "place_labels", "text_width"]

_REACHES = (6.0, 14.0, 26.0, 40.0, 56.0, 76.0, 100.0)
"""Distances of a label from its point that are tried, in pixels."""

_DIRECTIONS = tuple(math.radians(angle) for angle in (0, 180, 45, 315, 135, 225, 90, 270, 22, 338, 158, 202))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: Box) -> bool:
        """Whether the two rectangles share an area."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Whether this rectangle lies within the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def text_width(text: str, size: float) -> float:
    """Estimates the width of a line of sans-serif text, in the unit of its font size."""
    return 0.58 * size * len(text)


def place_labels(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    *,
    bounds: Box,
    obstacles: Sequence[Box],
    lines: Sequence[Box] = (),
) -> list[Box]:
    """Chooses a rectangle for each label: near its point, within the bounds and, if there is room, over nothing.

    Args:
        anchors: (x, y) of each labelled point, in pixels.
        sizes: (width, height) of each label, in pixels.
        bounds: no label leaves this rectangle if it fits into it at all.
        obstacles: rectangles that labels should not cover, for example around points.
        lines: thin rectangles, such as intervals, that labels avoid only if there is room nearby.
    """
    placed: list[Box] = []
    for (x, y), (width, height) in zip(anchors, sizes, strict=True):
        candidates = [
            (order, _candidate(x, y, width, height, reach, angle))
            for order, (reach, angle) in enumerate((r, a) for r in _REACHES for a in _DIRECTIONS)
        ]

        def cost(item: tuple[int, Box]) -> float:
            order, box = item
            over_labels = sum(box.covers(other) for other in placed)
            over_others = sum(box.covers(other) for other in obstacles)
            over_lines = sum(box.covers(other) for other in lines)
            return 1e6 * (not box.inside(bounds)) + 1e4 * over_labels + 1e2 * over_others + 9 * over_lines + order

        placed.append(min(candidates, key=cost)[1])
    return placed


def _candidate(x: float, y: float, width: float, height: float, reach: float, angle: float) -> Box:
    across, down = math.cos(angle), -math.sin(angle)
    left = x + reach * across + (0 if across > 0.3 else -width if across < -0.3 else -width / 2)
    top = y + reach * down - (0 if down > 0.3 else height if down < -0.3 else height / 2)
    return Box(left, top, left + width, top + height)
