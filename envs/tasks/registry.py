"""Environment ids and the tasks they build.

An id may start with a file of yours that registers it: "my_tasks.py:mine/Capitals-v0".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...retrieval_index.errors import UnknownNameError
from ...retrieval_index.plugins import Registry
from ..formats.turn_format import get_turn_format
from ..gym_ids import register_id
from ..rewards import parse_reward
from .corpus import RULES, SETS, custom_task, public_task
from .mixed import mixed_task
from .task import Task
from .world import world_task

__all__ = ["TASKS", "Task", "TaskKind", "check_arguments", "make_task", "register_task", "task_arguments"]


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A registered environment: a function that makes its task, and one line about it."""

    make: Callable[..., Task]
    summary: str


_BUILT_IN: dict[str, TaskKind] = {
    "berrypick/World-v0": TaskKind(world_task, "planted multi-hop world with an exact frontier; needs no data"),
    **{
        f"berrypick/{title}-v0": TaskKind(public_task(title), f"{public.summary} (BERRYPICK_DATA)")
        for title, public in SETS.items()
    },
    "berrypick/Mixed-v0": TaskKind(mixed_task, "several data sets at once, over one index of their passages"),
    "berrypick/Custom-v0": TaskKind(custom_task, "your own corpus and questions, JSONL or an upstream format"),
}

TASKS: Registry[TaskKind] = Registry("environment", "berrypick.tasks", "my_tasks.py:mine/Capitals-v0")
"""Environment id -> how its task is made."""

for _env_id, _kind in _BUILT_IN.items():
    TASKS.register(_env_id, _kind, __name__)


def register_task(env_id: str, summary: str) -> Callable[[Callable[..., Task]], Callable[..., Task]]:
    """Decorator that makes a function an environment, for `make_task`, `gym.make` and the command line.

    Keyword-only arguments of the function are the arguments of the environment. Each needs a default, and values are
    texts, numbers or true/false, so that an `EnvSpec` is JSON.

    Args:
        env_id: as Gymnasium spells ids, "NAMESPACE/NAME-vN".
        summary: one line about it.

    Raises:
        BerrypickError: another module has registered this id.
    """

    def register(make: Callable[..., Task]) -> Callable[..., Task]:
        TASKS.register(env_id, TaskKind(make, summary), make.__module__)
        register_id(env_id)
        return make

    return register


def make_task(env_id: str, **arguments: Any) -> Task:
    """Builds the task of an environment id.

    Args:
        env_id: for example "berrypick/World-v0", or "FILE.py:ID".
        arguments: texts and numbers, as `gym.make` takes them.

    Raises:
        UnknownNameError: no such environment or argument; the message offers the nearest ones.
    """
    check_arguments(env_id, arguments)
    return _kind_of(env_id).make(**arguments)


def check_arguments(env_id: str, arguments: Mapping[str, Any]) -> None:
    """Refuses an unknown environment, argument, reward or turn format without building anything.

    Raises:
        UnknownNameError: names it; the message offers the nearest ones.
    """
    known = task_arguments(env_id)
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"argument of {env_id}", name, known)
    for name, check in (("reward", parse_reward), ("turn_format", get_turn_format)):
        if name in arguments:
            check(arguments[name])


def task_arguments(env_id: str) -> dict[str, Any]:
    """Name and default of each argument that an environment takes."""
    parameters = inspect.signature(_kind_of(env_id).make).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    takes_rules = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return own | (dict(RULES) if takes_rules else {})


def _kind_of(env_id: str) -> TaskKind:
    return TASKS.find(TASKS.load_files(str(env_id)))
