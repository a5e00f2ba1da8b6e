"""Training runs, evaluations and their folders."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .evaluation import evaluate
    from .preparation import Prepared, open_trainee
    from .recipes import world_rl, world_sft
    from .run_folder import hold_run_folder, open_run_folder
    from .training import train
    from .training_config import TrainConfig, TrainView, Validation

__all__ = [
    "Prepared",
    "TrainConfig",
    "TrainView",
    "Validation",
    "evaluate",
    "hold_run_folder",
    "open_run_folder",
    "open_trainee",
    "train",
    "world_rl",
    "world_sft",
]

_MODULES = {
    "Prepared": "preparation",
    "TrainConfig": "training_config",
    "TrainView": "training_config",
    "Validation": "training_config",
    "evaluate": "evaluation",
    "hold_run_folder": "run_folder",
    "open_run_folder": "run_folder",
    "open_trainee": "preparation",
    "train": "training",
    "world_rl": "recipes",
    "world_sft": "recipes",
}
"""Name -> module. Names are imported when they are used, because most of them load torch."""


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
