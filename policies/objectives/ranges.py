"""What the options of objectives may be."""

from __future__ import annotations

import math

__all__ = ["at_least", "finite", "fraction", "positive"]


def at_least(least: float, **options: float) -> None:
    """Raises `ValueError` for an option below `least`, infinite or no number."""
    for name, value in options.items():
        if not least <= value < math.inf:
            raise ValueError(f"{name} must lie in [{least:g}, inf), got {value:g}")


def positive(**options: float) -> None:
    """Raises `ValueError` for an option at or below 0, infinite or no number."""
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must lie in (0, inf), got {value:g}")


def fraction(**options: float) -> None:
    """Raises `ValueError` for an option outside (0, 1]."""
    for name, value in options.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name} must lie in (0, 1], got {value:g}")


def finite(**options: float) -> None:
    """Raises `ValueError` for an option that is infinite or no number."""
    for name, value in options.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value:g}")
