"""berrypick: a search-agent RL environment suite."""

from __future__ import annotations

from typing import Any

import gymnasium as _gym

from .retrieval_index.errors import BerrypickError

__version__ = "0.1.0"

__all__ = ["BerrypickError", "__version__", "make_task"]


def make_task(env_id: str, **arguments: Any) -> Any:
    """The questions, rules and searcher behind an environment id; see `berrypick.envs.tasks`."""
    from .envs.tasks import make_task as make

    return make(env_id, **arguments)


def _register() -> None:
    for name in ("World-v0", "HotpotQA-v0", "Custom-v0"):
        _gym.register(
            id=f"berrypick/{name}",
            entry_point="berrypick.envs.search_env:make_search_env",
            vector_entry_point="berrypick.envs.vector_env:make_search_vector_env",
            kwargs={"env_id": f"berrypick/{name}"},
            order_enforce=True,
        )


_register()
