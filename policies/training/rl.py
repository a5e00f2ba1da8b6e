"""Reinforcement learning: the questions of a step and their rollouts. `rl_update.py` updates the policy on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...envs.episode import Episode
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.searcher import Searcher
from ..language.model import LanguageModelPolicy
from ..language.precision import trainable
from ..policy import Policy, Sampling
from ..rollout import rollout
from .distributed import ONE_PROCESS, Processes, share
from .rl_config import RlConfig
from .rl_update import rl_update

__all__ = ["RlConfig", "questions_of_step", "rl_optimizer", "rl_rollout", "rl_update"]


def rl_optimizer(policy: LanguageModelPolicy, config: RlConfig) -> torch.optim.Optimizer:
    """AdamW over all trainable weights, with a constant learning rate."""
    return torch.optim.AdamW(trainable(policy.model), lr=config.learning_rate, weight_decay=config.weight_decay)


def questions_of_step(questions: Sequence[Question], config: RlConfig, step: int) -> list[Question]:
    """The questions of one step; they depend only on (seed, step). An epoch is a seeded permutation of all questions.

    If the batch does not divide the questions, an epoch leaves the last few out, so that no step has one twice.
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
        policy: must return the exact tokens it sampled.
        questions: the questions of the step.
        spec: the rules of the episodes.
        searcher: answers the queries.
        config: the configuration of the run.
        step: number of the step, from 0.
        more: all questions of the run; dynamic sampling draws replacements from them.
        processes: each process plays a share of the questions; all of them get all episodes.
    """
    if not policy.exact_tokens:
        raise BerrypickError(
            f"policy {policy.policy_id} returns no exact tokens and can be evaluated, not trained; use a language model"
        )

    def play(asked: Sequence[Question]) -> list[list[Episode]]:
        own_share = rollout(
            policy,
            share(asked, processes),
            spec,
            searcher,
            num_samples=config.group_size,
            sampling=Sampling(max_new_tokens=config.max_new_tokens),
            seed=config.step_seed(step),
        )
        played = {group[0].question.id: group for part in processes.gather(own_share) for group in part}
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
