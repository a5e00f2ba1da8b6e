"""Distinct questions with their shares: those of a set of questions, or all that a World can generate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...envs.world.availability import population_tables
from ...envs.world.config import WorldConfig

if TYPE_CHECKING:
    from .kinds import KindWorld

__all__ = ["RowTable"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RowTable:
    """Distinct questions, as the tabular policy sees them, with their frequencies.

    Attributes:
        present: bool [rows, hops, kinds].
        table: int [rows], index of the table that the row uses.
        weights: float64 [rows], share of the questions.
        row_of_question: int [questions], the row of each question.
    """

    present: NDArray[np.bool_]
    table: NDArray[np.int64]
    weights: Array
    row_of_question: NDArray[np.int64]

    @classmethod
    def population(cls, config: WorldConfig) -> RowTable:
        """All questions that a World's generator can draw, by their probability; of no question in particular.

        A cue value is a table, as in `KindWorld`. Questions with a hop that no kind covers are among them.
        """
        parts = population_tables(config)
        present = [
            [[kind in kinds for kind in range(table.num_kinds)] for kinds in row]
            for _, table in parts
            for row in table.rows
        ]
        return cls(
            np.array(present, np.bool_),
            np.repeat(np.arange(len(parts)), [len(table.rows) for _, table in parts]),
            np.concatenate([share * table.weights for share, table in parts]),
            np.empty(0, np.int64),
        )

    @classmethod
    def of(cls, world: KindWorld) -> RowTable:
        """Groups the questions of a World; equal questions share a row."""
        flat = np.concatenate([world.table[:, None], world.present.reshape(len(world.table), -1)], axis=1)
        rows, inverse, counts = np.unique(flat, axis=0, return_inverse=True, return_counts=True)
        present = rows[:, 1:].reshape(len(rows), *world.present.shape[1:]).astype(np.bool_)
        return cls(present, rows[:, 0], counts / counts.sum(), inverse.reshape(-1))
