"""Tasks: the questions, rules and searcher behind each environment id."""

from __future__ import annotations

from .controls import CONTROLS, controlled
from .corpus import SETS, PublicSet
from .presets import EVALUATION_PRESETS, EvaluationPreset, evaluation_preset
from .registry import TASKS, TaskKind, make_task, register_task, task_arguments
from .task import UNLIMITED, Task, open_index

__all__ = [
    "CONTROLS",
    "EVALUATION_PRESETS",
    "SETS",
    "TASKS",
    "UNLIMITED",
    "EvaluationPreset",
    "PublicSet",
    "Task",
    "TaskKind",
    "controlled",
    "evaluation_preset",
    "make_task",
    "open_index",
    "register_task",
    "task_arguments",
]
