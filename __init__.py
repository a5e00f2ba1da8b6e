"""berrypick: a search-agent RL environment suite."""

from __future__ import annotations

from typing import Any

import gymnasium as _gym

from .retrieval_index.errors import BerrypickError

__version__ = "0.1.0"

__all__ = ["BerrypickError", "__version__", "make_task"]


def make_task(env_id: str, **arguments: Any) -> Any:
    """The questions, rules and searcher behind an environment id; see `berrypick.envs.tasks.registry`."""
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
    "Custom-v0",
)


def _register() -> None:
    for name in ENVIRONMENTS:
        _gym.register(
            id=f"berrypick/{name}",
            entry_point="berrypick.envs.search_env:make_search_env",
            vector_entry_point="berrypick.envs.vector_env:make_search_vector_env",
            kwargs={"env_id": f"berrypick/{name}"},
            order_enforce=True,
        )


_register()
