"""A tabular policy on the World: trained with the same objectives in seconds, and measured exactly."""

from __future__ import annotations

from .kinds import KindWorld, kind_probabilities, play
from .losses import objective_loss
from .runs import TabularConfig, TabularRun, train_tabular
from .training import TableConfig, imitate, train_table
from .values import RowTable, exact_values

__all__ = [
    "KindWorld",
    "RowTable",
    "TableConfig",
    "TabularConfig",
    "TabularRun",
    "exact_values",
    "imitate",
    "kind_probabilities",
    "objective_loss",
    "play",
    "train_table",
    "train_tabular",
]
