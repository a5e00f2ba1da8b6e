"""Success of groups of rollouts: pass@k and best@k, also for rollouts with several candidate answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["best_at_k", "best_of_candidates", "pass_at_k"]


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Unbiased estimate of P(at least one of k samples is right): 1 - C(n - c, k) / C(n, k) (arXiv 2107.03374).

    Raises:
        ValueError: k is not between 1 and n.
    """
    if not 1 <= k <= num_samples:
        raise ValueError(f"k must lie between 1 and the {num_samples} samples, got {k}")
    if not 0 <= num_correct <= num_samples:
        raise ValueError(f"{num_correct} of {num_samples} samples cannot be right")
    return 1 - math.comb(num_samples - num_correct, k) / math.comb(num_samples, k)


def best_at_k(scores: Sequence[float], k: int) -> float:
    """Unbiased estimate of the best score of k samples: sum_i C(i - 1, k - 1) / C(n, k) g_(i), scores g ascending."""
    n = len(scores)
    if not 1 <= k <= n:
        raise ValueError(f"k must lie between 1 and the {n} samples, got {k}")
    return sum(math.comb(i, k - 1) * score for i, score in enumerate(sorted(scores))) / math.comb(n, k)


def best_of_candidates(scores: Sequence[Sequence[float]], k: int) -> float:
    """best@k of rollouts with m candidates each (VPO's rule, arXiv 2605.22817).

    best@1 is the mean over first candidates. best@(jm) is the expected best of all candidates of j rollouts, because
    the candidates of a rollout are sampled together.

    Args:
        scores: [rollout][candidate], in the order of the answer block.
        k: 1, or a multiple of m.
    """
    m = len(scores[0])
    if any(len(candidates) != m for candidates in scores):
        raise ValueError("every rollout must have the same number of candidates; pad with the score of no answer")
    if k == 1:
        return sum(candidates[0] for candidates in scores) / len(scores)
    if k % m:
        raise ValueError(f"k must be 1 or a multiple of the {m} candidates of a rollout, got {k}")
    return best_at_k([max(candidates) for candidates in scores], k // m)
