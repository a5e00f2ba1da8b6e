"""berrypick: a search-agent RL environment suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .envs.gym_ids import register_id as _register_id
from .retrieval_index.errors import BerrypickError

if TYPE_CHECKING:
    from .envs.tasks.task import Task
    from .experiments.rollouts import Rollouts

__version__ = "0.1.0"

__all__ = ["BerrypickError", "Rollouts", "__version__", "make_task"]


def __getattr__(name: str) -> object:
    if name == "Rollouts":  # imported at first use, because most programs that import berrypick measure nothing
        from .experiments.rollouts import Rollouts

        return Rollouts
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def make_task(env_id: str, **arguments: Any) -> Task:
    """The questions, rules and searcher behind an environment id; see `berrypick.envs.tasks.make_task`."""
    from .envs.tasks.registry import make_task as make

    return make(env_id, **arguments)


ENVIRONMENTS = (
    "World-v0",
    "HotpotQA-v0",
    "2WikiMultiHopQA-v0",
    "MuSiQue-v0",
    "Bamboogle-v0",
    "StrategyQA-v0",
    "NQ-v0",
    "TriviaQA-v0",
    "PopQA-v0",
    "Mixed-v0",
    "Custom-v0",
)


for _name in ENVIRONMENTS:
    _register_id(f"berrypick/{_name}")
