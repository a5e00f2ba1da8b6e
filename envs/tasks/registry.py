"""What an environment id stands for, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...retrieval_index.errors import UnknownNameError
from ..formats.turn_format import get_turn_format
from ..rewards import parse_reward
from .corpus import RULES, SETS, custom_task, public_task
from .task import Task
from .world import world_task

__all__ = ["TASKS", "Task", "TaskKind", "make_task", "task_arguments"]


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A registered environment: how to make its task, and one line about it."""

    make: Callable[..., Task]
    summary: str


TASKS: dict[str, TaskKind] = {
    "berrypick/World-v0": TaskKind(world_task, "planted multi-hop world with an exact frontier; needs no data"),
    **{
        f"berrypick/{title}-v0": TaskKind(public_task(title), f"{public.summary} (BERRYPICK_DATA)")
        for title, public in SETS.items()
    },
    "berrypick/Custom-v0": TaskKind(custom_task, "your own corpus and questions, JSONL or an upstream format"),
}


def make_task(env_id: str, **arguments: Any) -> Task:
    """Builds the task of an environment id.

    Args:
        env_id: e.g. "berrypick/World-v0".
        arguments: strings and numbers, as `gym.make` takes them.

    Raises:
        UnknownNameError: no such environment or argument; names the nearest.
    """
    known = task_arguments(env_id)
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"argument of {env_id}", name, known)
    for name, check in (("reward", parse_reward), ("turn_format", get_turn_format)):
        if name in arguments:
            check(arguments[name])
    return TASKS[env_id].make(**arguments)


def task_arguments(env_id: str) -> dict[str, Any]:
    """Name and default of each argument an environment takes."""
    if env_id not in TASKS:
        raise UnknownNameError("environment", str(env_id), TASKS)
    parameters = inspect.signature(TASKS[env_id].make).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    takes_rules = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return own | (dict(RULES) if takes_rules else {})
