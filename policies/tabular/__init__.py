"""A tabular policy on the World: trained with the same objectives in seconds, and measured exactly.

Exact values of a table need no torch, training does; so each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...retrieval_index.lazy_names import lazy_names

if TYPE_CHECKING:
    from .histories import State, StateTable, history_values
    from .kinds import KindWorld, kind_probabilities, play
    from .losses import objective_loss
    from .readings import KindReading, pool, state_information
    from .runs import TabularConfig, TabularRun, train_tabular
    from .table_config import TableConfig
    from .training import imitate, train_table
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "histories": ("State", "StateTable", "history_values"),
        "kinds": ("KindWorld", "kind_probabilities", "play"),
        "losses": ("objective_loss",),
        "readings": ("KindReading", "pool", "state_information"),
        "runs": ("TabularConfig", "TabularRun", "train_tabular"),
        "table_config": ("TableConfig",),
        "training": ("imitate", "train_table"),
        "values": ("RowTable", "exact_values"),
    },
)
