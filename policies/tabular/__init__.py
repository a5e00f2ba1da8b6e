"""A tabular policy on the World: trained with the same objectives in seconds, and measured exactly.

Exact values of a table need no torch, training does; so each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_PLACES = {
    "KindReading": "readings",
    "KindWorld": "kinds",
    "RowTable": "values",
    "State": "histories",
    "StateTable": "histories",
    "TableConfig": "training",
    "TabularConfig": "runs",
    "TabularRun": "runs",
    "exact_values": "values",
    "history_values": "histories",
    "imitate": "training",
    "kind_probabilities": "kinds",
    "objective_loss": "losses",
    "play": "kinds",
    "pool": "readings",
    "state_information": "readings",
    "train_table": "training",
    "train_tabular": "runs",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
