"""What an experiment hands to the machinery in order to measure its own quantities of a tabular training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...policies.tabular.kinds import KindWorld
from ...policies.tabular.training import Batch
from ...policies.tabular.values import RowTable
from .condition import Condition
from .experiment import Cell, CellResult

__all__ = ["Beside", "LanguageCells", "Limits", "Measuring", "PopulationMeasures", "RunMeasures", "population_of"]

Limits = tuple[float, float]
"""The least and the largest value that any policy could have."""


def population_of(rows: RowTable, world: KindWorld) -> KindWorld:
    """All questions that a World can generate, to be played as `world` is; nobody reads the texts of their facts."""
    return replace(world, present=rows.present, table=rows.table, facts=())


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
    """Measures that an experiment adds to the exact ones of the population."""

    def values(self, logits: NDArray[np.float64]) -> Mapping[str, float]:
        """Measure -> value of a policy."""
        ...

    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """See `RunMeasures.bounds`."""
        ...


class Beside(Protocol):
    """Makes the measures that are added."""

    def __call__(self, rows: RowTable, world: KindWorld, start: NDArray[np.float64]) -> PopulationMeasures:
        """Of the population's rows, for a policy that plays such a World and began with these logits."""
        ...


class LanguageCells(Protocol):
    """The language-model cells of an experiment."""

    @property
    def about(self) -> str:
        """What was trained and what its measures are, for the page: one paragraph."""
        ...

    def cells(self, num_seeds: int) -> Sequence[Cell]:
        """All of them; each configuration has "policy", "condition", "arm" and "seed"."""
        ...

    def limits(self, condition: Condition) -> Mapping[str, Limits]:
        """Measure -> the least and the largest value in a condition; measures without known limits are left out."""
        ...

    def run(self, cell: Cell, work: Path) -> CellResult:
        """{"checkpoints": {step: {measure: value}}}; `work` keeps what must survive an interruption."""
        ...
