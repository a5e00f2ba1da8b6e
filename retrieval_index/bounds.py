"""Range checks of settings, made before any work starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .errors import BerrypickError

__all__ = ["at_least", "check_bm25", "check_rates", "check_seeds", "flags_at_least"]

MOST_SEED = 2**63 - 1
MOST_RATE = 100.0
"""Learning rates above it are slips of the keyboard; the largest overflow 32-bit numbers."""


def at_least(least: int, numbers: Mapping[str, float]) -> None:
    """Raises `BerrypickError` for the first of the named numbers that is below `least`, infinite or not a number."""
    for name, number in numbers.items():
        if not least <= number < float("inf"):
            raise BerrypickError(f"{name} must be at least {least}, got {number}")


def flags_at_least(least: int, command: object, *names: str) -> None:
    """`at_least` for attributes of a command, reported by their flags; None means the flag is unset."""
    values = {f"--{name.replace('_', '-')}": getattr(command, name) for name in names}
    at_least(least, {flag: value for flag, value in values.items() if value is not None})


def check_rates(command: object, *names: str) -> None:
    """Raises `BerrypickError` for the first of a command's learning rates that no training survives; None is unset."""
    for name in names:
        rate = getattr(command, name)
        if rate is not None and rate > MOST_RATE:
            flag = name.replace("_", "-")
            raise BerrypickError(
                f"--{flag} must be at most {MOST_RATE:g}, got {rate:g}; 1e-3 is large for these models"
            )


def check_bm25(k1: float, b: float) -> None:
    """Raises `BerrypickError` unless k1 and b are valid BM25 parameters."""
    if not (0 <= k1 < float("inf") and 0 <= b <= 1):
        raise BerrypickError(f"--k1 must be at least 0, --b from 0 to 1, got {k1} and {b}")


def check_seeds(seeds: Sequence[int]) -> None:
    """Raises `BerrypickError` for a seed that a generator does not accept."""
    for seed in seeds:
        if not 0 <= seed <= MOST_SEED:
            raise BerrypickError(f"a seed must be a whole number from 0 to {MOST_SEED}, got {seed}")
