"""The configuration of reinforcement learning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ...retrieval_index.errors import BerrypickError

__all__ = ["RlConfig"]


@dataclass(frozen=True)
class RlConfig:
    """Reinforcement learning: what a step plays and how it updates.

    Attributes:
        objective: a registered name, with options after a colon; see `objectives/registry.py`.
        steps: rounds of rollouts.
        questions_per_step: groups per step.
        group_size: rollouts per question.
        learning_rate: of AdamW, constant.
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to this norm.
        epochs: passes over the rollouts of a step.
        mini_batches: optimizer updates per pass; rollouts are assigned at random.
        loss_mean: "token" averages over all policy tokens of an update; "sequence" averages over each rollout first.
        dynamic_sampling: at most so many rounds of further questions that replace groups of equal rewards (DAPO).
        max_new_tokens: most tokens of a turn.
        max_tokens: padded tokens of a micro-batch; the gradients of a mini-batch accumulate over its micro-batches.
        seed: seeds questions, rollouts and mini-batches.

    Raises:
        BerrypickError: a number is out of range.
    """

    objective: str = "grpo"
    steps: int = 40
    questions_per_step: int = 16
    group_size: int = 8
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    epochs: int = 1
    mini_batches: int = 1
    loss_mean: Literal["token", "sequence"] = "token"
    dynamic_sampling: int = 0
    max_new_tokens: int = 32
    max_tokens: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("questions_per_step", "group_size", "epochs", "mini_batches", "max_new_tokens", "max_tokens"):
            if getattr(self, name) < 1:
                raise BerrypickError(f"RL: {name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.learning_rate < math.inf:
            raise BerrypickError(f"RL: learning_rate must be at least 0, got {self.learning_rate}")
        if self.dynamic_sampling < 0:
            raise BerrypickError(f"RL: dynamic_sampling must be at least 0, got {self.dynamic_sampling}")
        if self.loss_mean not in ("token", "sequence"):
            raise BerrypickError(f'RL: loss_mean must be "token" or "sequence", got {self.loss_mean!r}')

    def step_seed(self, step: int) -> int:
        """The seed of a step's rollouts and random draws."""
        return self.seed * 1_000_003 + step
