"""Training runs, evaluations and their folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...retrieval_index.lazy_names import lazy_names

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "evaluation": ("evaluate",),
        "preparation": ("Prepared", "open_trainee"),
        "recipes": ("world_rl", "world_sft"),
        "run_folder": ("hold_run_folder", "open_run_folder"),
        "training": ("train",),
        "training_config": ("TrainConfig", "TrainView", "Validation"),
    },
)
