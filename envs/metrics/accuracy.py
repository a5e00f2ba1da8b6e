"""Success of groups: pass@k, best@k."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["best_at_k", "pass_at_k"]


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Unbiased chance that one of k of n samples is right: 1 - C(n - c, k) / C(n, k) (arXiv 2107.03374).

    Raises:
        ValueError: k is not between 1 and n.
    """
    if not 1 <= k <= num_samples:
        raise ValueError(f"k must lie between 1 and the {num_samples} samples, got {k}")
    if not 0 <= num_correct <= num_samples:
        raise ValueError(f"{num_correct} of {num_samples} samples cannot be right")
    return 1 - math.comb(num_samples - num_correct, k) / math.comb(num_samples, k)


def best_at_k(scores: Sequence[float], k: int) -> float:
    """Unbiased expected best of k of n graded samples: sum_i C(i - 1, k - 1) / C(n, k) g_(i), g ascending."""
    n = len(scores)
    if not 1 <= k <= n:
        raise ValueError(f"k must lie between 1 and the {n} samples, got {k}")
    return sum(math.comb(i, k - 1) * score for i, score in enumerate(sorted(scores))) / math.comb(n, k)
