"""What an experiment hands to the machinery in order to measure its own quantities of a tabular training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...envs.world.config import WorldConfig
from ...policies.tabular.kinds import KindWorld
from ...policies.tabular.training import Batch
from .experiment import Cell, CellResult

__all__ = ["LanguageCells", "Measuring", "PopulationMeasures", "RunMeasures"]


class RunMeasures(Protocol):
    """Measures of one training run that an experiment brings along; they replace the exact ones of the population."""

    def see(self, batch: Batch) -> None:
        """Is shown the episodes of each update, before it."""
        ...

    def values(self, step: int, logits: NDArray[np.float64]) -> Mapping[str, float]:
        """Measure -> value of the policy at a checkpoint; called after training, in the order of steps."""
        ...

    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """Measure -> the least and the largest value that any policy could have; measures without bounds are left out.

        The checks before registration ask whether there is room for a claim."""
        ...


class Measuring(Protocol):
    """Makes the measures of a run."""

    def __call__(self, world: KindWorld, start: NDArray[np.float64], seed: int) -> RunMeasures:
        """Begins a run on these questions, from these logits."""
        ...


class PopulationMeasures(Protocol):
    """Measures in the population that an experiment adds to the exact ones at every checkpoint."""

    def values(self, config: WorldConfig, start: NDArray[np.float64], end: NDArray[np.float64]) -> Mapping[str, float]:
        """Measure -> value of a policy; both policies as `kind_probabilities`, the start being the condition's."""
        ...

    def bounds(self, config: WorldConfig) -> Mapping[str, tuple[float, float]]:
        """As `RunMeasures.bounds`."""
        ...


class LanguageCells(Protocol):
    """The language-model cells of an experiment."""

    def cells(self, num_seeds: int) -> Sequence[Cell]:
        """All of them; each configuration has "policy", "condition", "arm" and "seed"."""
        ...

    def run(self, cell: Cell, work: Path) -> CellResult:
        """{"checkpoints": {step: {measure: value}}}; `work` keeps what must survive an interruption."""
        ...
