"""A published system in one file: what it claims, how it is tried here, and what its page says."""

from __future__ import annotations

from dataclasses import dataclass

from .grid_experiment import GridExperiment

__all__ = ["SystemExperiment"]


@dataclass(frozen=True)
class SystemExperiment(GridExperiment):
    """A grid whose page sets published figures beside ours."""

    with_pilot: bool = True
