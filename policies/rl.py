"""Reinforcement learning: one compact GRPO-family step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..envs.episode import Episode
from ..envs.questions import EpisodeSpec, Question
from ..retrieval_index.errors import BerrypickError
from ..retrieval_index.searcher import Searcher
from .batches import MicroBatch, TokenRows, micro_batches, score
from .language_model import LanguageModelPolicy, encode_episode
from .objectives.groups import groups_of
from .objectives.losses import clipped_policy_loss
from .objectives.registry import Objective
from .policy import Sampling
from .rollout import rollout

__all__ = ["RlConfig", "questions_of_step", "rl_optimizer", "rl_rollout", "rl_update"]


@dataclass(frozen=True)
class RlConfig:
    """Reinforcement learning.

    Attributes:
        objective: a registered name.
        steps: updates.
        questions_per_step: groups a step.
        group_size: rollouts a question.
        epochs: passes over each step's rollouts.
        max_new_tokens: most tokens of a turn.
        max_tokens: padded tokens of a micro-batch.
    """

    objective: str = "grpo"
    steps: int = 40
    questions_per_step: int = 16
    group_size: int = 8
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    epochs: int = 1
    max_new_tokens: int = 32
    max_tokens: int = 4096
    seed: int = 0


def rl_optimizer(policy: LanguageModelPolicy, config: RlConfig) -> torch.optim.Optimizer:
    """AdamW over all weights, constant learning rate."""
    return torch.optim.AdamW(policy.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


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
    policy: LanguageModelPolicy,
    questions: Sequence[Question],
    spec: EpisodeSpec,
    searcher: Searcher,
    config: RlConfig,
    step: int,
) -> list[list[Episode]]:
    """The rollouts of one step, [question][sample], sampled at temperature 1 from the full softmax."""
    if not policy.exact_tokens:
        raise BerrypickError(f"policy {policy.policy_id} returns no exact tokens; it may be evaluated, not trained")
    return rollout(
        policy,
        questions,
        spec,
        searcher,
        num_samples=config.group_size,
        sampling=Sampling(max_new_tokens=config.max_new_tokens),
        seed=config.seed * 1_000_003 + step,
    )


def rl_update(
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    groups: Sequence[Sequence[Episode]],
    objective: Objective,
    config: RlConfig,
) -> dict[str, float]:
    """One step's update in place; returns its metrics.

    The loss is the mean over all policy tokens of the step (token-mean); retrieved text is masked.
    """
    advantages = objective.advantages(groups_of(groups, config.seed)).flatten()
    flat = [episode for group in groups for episode in group]
    encoded = [encode_episode(policy.tokenizer, episode) for episode in flat]
    data = TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])
    old = [_sampled_log_probs(episode) for episode in flat]
    metrics: dict[str, float] = {}
    policy.model.train()
    for _ in range(config.epochs):
        metrics = _epoch(policy, optimizer, data, old, advantages, objective, config)
    policy.model.eval()
    return metrics


def _epoch(
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    data: TokenRows,
    old: list[Tensor],
    advantages: Tensor,
    objective: Objective,
    config: RlConfig,
) -> dict[str, float]:
    total = data.num_policy_tokens
    if not total:
        raise BerrypickError("no rollout of the step wrote a token; check the prompt's length and --max-new-tokens")
    sums = {"loss": 0.0, "entropy": 0.0, "clipped": 0.0, "kl": 0.0}
    optimizer.zero_grad(set_to_none=True)
    for micro in micro_batches(data, config.max_tokens, policy.model.device):
        log_probs, entropies = score(policy.model, micro)
        sampled, weight = _per_token(micro, old, advantages, log_probs)
        loss, held = clipped_policy_loss(log_probs, sampled, weight, objective.clip)
        (loss.sum() / total).backward()
        difference = (sampled - log_probs).detach()
        sums["loss"] += float(loss.detach().sum())
        sums["entropy"] += float(entropies.sum())
        sums["clipped"] += float(held.sum())
        sums["kl"] += float((difference.neg().exp() - 1 + difference).sum())
    norm = torch.nn.utils.clip_grad_norm_(policy.model.parameters(), config.max_grad_norm)
    optimizer.step()
    return {
        "rl/loss": sums["loss"] / total,
        "rl/token_entropy_nats": sums["entropy"] / total,
        "rl/clip_fraction": sums["clipped"] / total,
        "rl/kl_to_sampler_nats": sums["kl"] / total,
        "rl/grad_norm": float(norm),
        "rl/policy_tokens": float(total),
    }


def _sampled_log_probs(episode: Episode) -> Tensor:
    parts = [turn.draft.tokens.log_probs for turn in episode.turns if turn.draft.tokens is not None]
    return torch.from_numpy(np.concatenate(parts) if parts else np.zeros(0, np.float32))


def _per_token(micro: MicroBatch, old: list[Tensor], advantages: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Sampled log-probabilities and advantages of a micro-batch's policy tokens, each [N]."""
    sampled = torch.cat([old[row] for row in micro.rows]).to(like)
    counts = micro.policy.sum(1)
    weight = torch.repeat_interleave(advantages[list(micro.rows)].to(like), counts)
    return sampled, weight
