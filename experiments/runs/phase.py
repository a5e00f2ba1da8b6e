"""The parts of a training run, as a view names them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Phase"]


class Phase(NamedTuple):
    """A part of a training run.

    Attributes:
        name: such as "SFT".
        first: number of steps before it, over all phases.
        last: number of steps at its end; `first` if it is not counted in steps.
    """

    name: str
    first: int
    last: int
