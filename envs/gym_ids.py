"""Environment ids in Gymnasium's registry. Registering is cheap: the environment's code loads when it is made."""

from __future__ import annotations

import gymnasium as gym

__all__ = ["register_id"]


def register_id(env_id: str) -> None:
    """Lets `gym.make` and `gym.make_vec` build an environment id of `berrypick.envs.tasks.TASKS`."""
    if env_id in gym.registry:  # registered again by a re-run notebook cell; the entry points are always the same
        return
    gym.register(
        id=env_id,
        entry_point="berrypick.envs.search_env:make_search_env",
        vector_entry_point="berrypick.envs.vector_env:make_search_vector_env",
        kwargs={"env_id": env_id},
        order_enforce=True,
    )
