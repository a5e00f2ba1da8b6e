"""Preference pairs and the DPO loss (Rafailov and others, arXiv 2305.18290), for any policy with log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["dpo_losses", "pair_places"]


def pair_places(
    rewards: Sequence[Sequence[float]], *, per_question: int = 1, seed: int = 0
) -> list[tuple[int, int, int]]:
    """Pairs of rollouts of the same question whose rewards differ, drawn at random without replacement.

    Args:
        rewards: [questions][rollouts].
        per_question: most pairs of one question.
        seed: of the draw.

    Returns:
        (question, better rollout, worse rollout), in the order of questions.
    """
    places = []
    for question, group in enumerate(rewards):
        pairs = [(a, b) for a in range(len(group)) for b in range(len(group)) if group[a] > group[b]]
        if pairs:
            order = np.random.default_rng((seed, question)).permutation(len(pairs))
            places += [(question, *pairs[at]) for at in order[:per_question]]
    return places


def dpo_losses(better: Tensor, worse: Tensor, beta: float) -> Tensor:
    """-log sigmoid(beta (better - worse)) of each pair.

    Args:
        better: [pairs], log pi - log pi_ref of the better rollout, summed over its own decisions.
        worse: [pairs], the same of the worse one.
        beta: scale of the implicit reward; a larger value stays closer to the reference.
    """
    return -logsigmoid(beta * (better - worse))
