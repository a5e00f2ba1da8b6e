"""Adapters to other trainers and tools, one module each: trl, verl, skyrl, openenv, verifiers, inspect.

This package exports what needs no trainer installed. Import the rest from its module, for example
`berrypick.envs.adapters.skyrl.BerrypickTextEnv`.
"""

from __future__ import annotations

from .tool_episode import ToolEpisode, question_by_id, shared_task, tool_instruction
from .trl import environment_factory, episode_reward, rollout_func, rollout_rows, tool_rows
from .verl import compute_score, search_tool, verl_rows

__all__ = [
    "ToolEpisode",
    "compute_score",
    "environment_factory",
    "episode_reward",
    "question_by_id",
    "rollout_func",
    "rollout_rows",
    "search_tool",
    "shared_task",
    "tool_instruction",
    "tool_rows",
    "verl_rows",
]
