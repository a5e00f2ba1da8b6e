"""DPO for the tabular policy: pairs of its own rollouts, with the policy that played them as the reference."""

from __future__ import annotations

import torch
from torch import Tensor

from ..objectives.pairs import dpo_losses, pair_places
from .training import Batch, Loss

__all__ = ["dpo_loss"]


def dpo_loss(beta: float, *, per_question: int = 1) -> Loss:
    """The loss of DPO on pairs of a success and a failure, at most `per_question` of each question.

    Each entry is the loss of a pair, divided by beta, so that a first update is as long for every beta, and scaled so
    that training minimises the mean over pairs. Of all pairs of every group, and with a reference that is renewed at
    every step, the gradient is a multiple of that of Dr. GRPO by arithmetic.

    Args:
        beta: see `dpo_losses`.
        per_question: pairs of one question.
    """

    def loss(batch: Batch) -> Tensor:
        places = pair_places(batch.rewards.tolist(), per_question=per_question, seed=batch.seed)
        if not places:
            return batch.log_probs[:0]
        episodes = batch.rewards.numel()
        gains = torch.zeros(episodes, dtype=batch.log_probs.dtype)
        gains = gains.index_add(0, batch.episode, batch.log_probs - batch.old_log_probs)
        question, better, worse = torch.tensor(places).unbind(1)
        gains = gains.reshape(batch.rewards.shape)
        losses = dpo_losses(gains[question, better], gains[question, worse], beta)
        return losses * (episodes / (beta * len(places)))

    return loss
