"""Preference tuning: DPO (arXiv 2305.18290) on pairs of rollouts of the same question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ...envs.episode import Episode
from ...retrieval_index.errors import BerrypickError
from ..language.batches import TokenRows, log_probs_of, log_probs_of_rows, micro_batches
from ..language.episode_rows import rows_of
from ..language.model import LanguageModelPolicy
from ..objectives.pairs import pair_places
from .update_step import clear_gradients, take_step

__all__ = ["DpoConfig", "dpo_update", "preference_pairs"]

Pair = tuple[Episode, Episode]
"""(chosen, rejected), of one question."""


@dataclass(frozen=True)
class DpoConfig:
    """Direct preference optimisation.

    Attributes:
        beta: scale of the implicit reward; a larger value stays closer to the reference model.
        max_grad_norm: gradients are clipped to this norm.
        max_tokens: padded tokens of a micro-batch.
    """

    beta: float = 0.1
    max_grad_norm: float = 1.0
    max_tokens: int = 4096


def preference_pairs(groups: Sequence[Sequence[Episode]], *, per_question: int = 1, seed: int = 0) -> list[Pair]:
    """Pairs (better, worse) of different reward: at most `per_question` of each group, drawn at random."""
    rewards = [[episode.reward for episode in group] for group in groups]
    return [(groups[q][a], groups[q][b]) for q, a, b in pair_places(rewards, per_question=per_question, seed=seed)]


def dpo_update(
    policy: LanguageModelPolicy,
    reference: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    pairs: Sequence[Pair],
    config: DpoConfig,
) -> dict[str, float]:
    """One update in place: -log sigmoid(beta [(log pi - log pi_ref)(chosen) - (log pi - log pi_ref)(rejected)]).

    Sequence log-probabilities run over the policy's own tokens; retrieved text is masked. Dropout is off. Two passes
    keep a single micro-batch in memory: the first computes each pair's margin and thus the weight of its gradient, the
    second accumulates the weighted gradients.

    Returns:
        Mean loss, accuracy (share of pairs with a positive margin) and reward margin of the pairs, before the update.

    Raises:
        BerrypickError: there are no pairs.
        NonFiniteLossError: weights and optimizer are unchanged.
    """
    if not pairs:
        raise BerrypickError("there are no pairs: the rollouts of every group have equal rewards; sample more")
    data = rows_of(policy, [episode for pair in pairs for episode in pair])
    fixed, now = (_sequence_log_probs(model, data, config.max_tokens) for model in (reference, policy.model))
    margin = config.beta * ((now - fixed)[::2] - (now - fixed)[1::2])
    # Rows alternate chosen, rejected. d loss / d log pi of the chosen rollout; the rejected one's has the other sign.
    slope = -config.beta * torch.sigmoid(-margin) / len(pairs)
    slopes = torch.stack([slope, -slope], dim=1).flatten()
    clear_gradients(optimizer)
    for micro in micro_batches(data, config.max_tokens, policy.model.device):
        log_probs, _ = log_probs_of(policy.model, micro)
        weights = torch.repeat_interleave(slopes[list(micro.rows)].to(log_probs), micro.policy.sum(1))
        (weights * log_probs).sum().backward()
    loss = float(-torch.nn.functional.logsigmoid(margin).mean())
    norm = take_step(policy.model, optimizer, loss, max_grad_norm=config.max_grad_norm, what="DPO")
    return {
        "dpo/loss": loss,
        "dpo/accuracy": float((margin > 0).double().mean()),
        "dpo/margin": float(margin.mean()),
        "dpo/grad_norm": norm,
    }


def _sequence_log_probs(model: PreTrainedModel, data: TokenRows, max_tokens: int) -> Tensor:
    """Summed log-probabilities of each row's policy tokens, float64 [N]."""
    return torch.stack([log_probs.double().sum() for log_probs, _ in log_probs_of_rows(model, data, max_tokens)])
