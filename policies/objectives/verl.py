"""Objectives as verl advantage estimators: `algorithm.adv_estimator=berrypick_pass_at_k`.

verl passes an estimator only rewards, mask and group ids, so only objectives on the scalar reward can be registered.
Bonuses, clusters and reward vectors need outcomes that verl does not pass on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError, MissingExtraError
from .groups import Groups
from .objective import Objective
from .registry import get_objective

__all__ = ["REWARD_ONLY", "register_in_verl", "verl_estimator"]

REWARD_ONLY = (
    "grpo",
    "dr_grpo",
    "rloo",
    "maxrl",
    "pass_at_k",
    "pass_mix",
    "max_at_k",
    "correct_only",
    "unsolved_only",
)
"""Objectives that need only the scalar reward."""

Estimator = Callable[..., tuple[Tensor, Tensor]]


def register_in_verl(*specs: str) -> list[str]:
    """Registers objectives with verl; call it in the process that computes advantages.

    Args:
        specs: objectives with options, e.g. "max_at_k:k=4"; all of `REWARD_ONLY` by default.

    Returns:
        The names for `algorithm.adv_estimator`: "berrypick_" followed by the spec.
    """
    try:
        from verl.trainer.ppo.core_algos import register_adv_est  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtraError("registering objectives with verl", "verl", error) from error
    names = []
    for spec in specs or REWARD_ONLY:
        names.append(f"berrypick_{spec}")
        register_adv_est(names[-1])(verl_estimator(get_objective(spec)))
    return names


def verl_estimator(objective: Objective) -> Estimator:
    """A function with verl's signature: (token_level_rewards, response_mask, index, ...) -> (advantages, returns)."""
    if objective.name.partition(":")[0] not in REWARD_ONLY:
        raise BerrypickError(
            f"objective {objective.name} needs outcomes that verl does not pass on; "
            f"choose one of {', '.join(REWARD_ONLY)}"
        )

    def estimate(token_level_rewards: Tensor, response_mask: Tensor, index: Any, **_: Any) -> tuple[Tensor, Tensor]:
        rewards = token_level_rewards.sum(-1).double()
        advantages = torch.zeros_like(rewards)
        rows: dict[Any, list[int]] = {}
        for row, group in enumerate(index):
            rows.setdefault(group, []).append(row)
        for group, members in rows.items():
            found = objective.advantages(Groups((str(group),), rewards[members][None])).base
            advantages[members] = found[0].to(advantages)
        spread = advantages.to(token_level_rewards)[:, None] * response_mask
        return spread, spread

    return estimate
