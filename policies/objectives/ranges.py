"""Checks of the options of objectives; `get_objective` adds the objective's name to their errors."""

from __future__ import annotations

import math

from ...retrieval_index import bounds
from ...retrieval_index.errors import BerrypickError

__all__ = ["at_least", "choice", "finite", "fraction", "positive", "share"]


def at_least(least: int, **options: float) -> None:
    """Raises `ValueError` if an option is below `least`, infinite or NaN."""
    try:
        bounds.at_least(least, options)
    except BerrypickError as error:
        raise ValueError(str(error)) from None


def positive(**options: float) -> None:
    """Raises `ValueError` if an option is 0 or below, infinite or NaN."""
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be above 0, got {value:g}")


def fraction(**options: float) -> None:
    """Raises `ValueError` if an option is outside (0, 1]."""
    for name, value in options.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name} must lie in (0, 1], got {value:g}")


def finite(**options: float) -> None:
    """Raises `ValueError` if an option is infinite or NaN."""
    for name, value in options.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value:g}")


def share(**options: float) -> None:
    """Raises `ValueError` if an option is outside [0, 1]."""
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {value:g}")


def choice(known: tuple[str, ...], **options: str) -> None:
    """Raises `ValueError` if an option is not one of the known words."""
    for name, value in options.items():
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value}")
