"""Reinforcement learning: what a step asks, and its rollouts. The update is `rl_update.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from ...envs.episode import Episode
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.searcher import Searcher
from ..language.model import LanguageModelPolicy
from ..policy import Policy, Sampling
from ..rollout import rollout
from .distributed import ONE_PROCESS, Processes, share
from .rl_update import rl_update

__all__ = ["RlConfig", "questions_of_step", "rl_optimizer", "rl_rollout", "rl_update"]


@dataclass(frozen=True)
class RlConfig:
    """Reinforcement learning.

    Attributes:
        objective: a registered name, with options after a colon; see `objectives/registry.py`.
        steps: rounds of rollouts.
        questions_per_step: groups a step.
        group_size: rollouts a question.
        epochs: passes over each step's rollouts.
        mini_batches: optimizer updates a pass; rollouts are dealt at random.
        loss_mean: over all policy tokens of an update, or first over each rollout's.
        dynamic_sampling: rounds of further questions, at most, that replace groups of equal rewards (DAPO).
        max_new_tokens: most tokens of a turn.
        max_tokens: padded tokens of a micro-batch; gradients of a mini-batch accumulate over them.
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
        """What the rollouts and draws of one step depend on."""
        return self.seed * 1_000_003 + step


def rl_optimizer(policy: LanguageModelPolicy, config: RlConfig) -> torch.optim.Optimizer:
    """AdamW over all trainable weights, constant learning rate."""
    trainable = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trainable, lr=config.learning_rate, weight_decay=config.weight_decay)


def questions_of_step(questions: Sequence[Question], config: RlConfig, step: int) -> list[Question]:
    """The questions of one step, a function of (seed, step); an epoch is a seeded permutation.

    Questions left over at the end of an epoch sit it out, so that no step asks one twice.
    """
    if not questions:
        raise BerrypickError("there are no training questions; choose a split with questions")
    count = min(config.questions_per_step, len(questions))
    per_epoch = len(questions) // count
    epoch, offset = divmod(step, per_epoch)
    order = np.random.default_rng((config.seed, 3, epoch)).permutation(len(questions))
    return [questions[i] for i in order[offset * count : (offset + 1) * count]]


def rl_rollout(
    policy: Policy,
    questions: Sequence[Question],
    spec: EpisodeSpec,
    searcher: Searcher,
    config: RlConfig,
    step: int,
    *,
    more: Sequence[Question] = (),
    processes: Processes = ONE_PROCESS,
) -> list[list[Episode]]:
    """The rollouts of one step, [question][sample], sampled at temperature 1 from the full softmax.

    Args:
        policy: must know its tokens exactly.
        questions: of the step.
        spec: the rules.
        searcher: answers the queries.
        config: of the run.
        step: from 0.
        more: all questions of the run; dynamic sampling draws replacements from them.
        processes: each plays a share of the questions; all get all episodes.
    """
    if not policy.exact_tokens:
        raise BerrypickError(f"policy {policy.policy_id} returns no exact tokens; it may be evaluated, not trained")

    def play(asked: Sequence[Question]) -> list[list[Episode]]:
        mine = rollout(
            policy,
            share(asked, processes),
            spec,
            searcher,
            num_samples=config.group_size,
            sampling=Sampling(max_new_tokens=config.max_new_tokens),
            seed=config.step_seed(step),
        )
        played = {group[0].question.id: group for part in processes.gather(mine) for group in part}
        return [played[question.id] for question in asked]

    groups = play(questions)
    asked = {question.id for question in questions}
    order = np.random.default_rng((config.seed, 5, step)).permutation(len(more))
    spare = [more[i] for i in order if more[i].id not in asked]
    for _ in range(config.dynamic_sampling):
        flat = [at for at, group in enumerate(groups) if len({episode.reward for episode in group}) == 1]
        batch, spare = spare[: len(flat)], spare[len(flat) :]
        if not batch:
            break
        for at, group in zip(flat, play(batch)):
            groups[at] = group
    return groups
