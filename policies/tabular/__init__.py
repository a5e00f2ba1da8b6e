"""A tabular policy on the World: trained with the same objectives in seconds, and measured exactly."""

from __future__ import annotations

from .histories import State, StateTable, history_values
from .kinds import KindWorld, kind_probabilities, play
from .losses import objective_loss
from .readings import KindReading, pool, state_information
from .runs import TabularConfig, TabularRun, train_tabular
from .training import TableConfig, imitate, train_table
from .values import RowTable, exact_values

__all__ = [
    "KindReading",
    "KindWorld",
    "RowTable",
    "State",
    "StateTable",
    "TableConfig",
    "TabularConfig",
    "TabularRun",
    "exact_values",
    "history_values",
    "imitate",
    "kind_probabilities",
    "objective_loss",
    "play",
    "pool",
    "state_information",
    "train_table",
    "train_tabular",
]
