"""Breadth of a group of rollouts: coverage of the evidence, distinct passages and queries, effective numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..questions import passages_of

__all__ = [
    "diff_at_k",
    "effective_number",
    "path_coverage",
    "rarefied_distinct",
    "rarefied_union",
    "redundancy",
    "union_coverage",
    "unique_ratio",
]

Evidence = Sequence[Sequence[frozenset[str]]]


def union_coverage(evidence: Evidence, shown: Sequence[frozenset[str]]) -> float | None:
    """Breadth: distinct relevant passages shown to a group, divided by all relevant passages of the question.

    In the World the relevant passages are the present records of all hops, so this is
    sum_h |distinct available kinds hit at hop h| / sum_h |available kinds at hop h|.

    Args:
        evidence: [path][hop] -> ids that satisfy the hop.
        shown: ids shown to each rollout of the group.

    Returns:
        A share, or None if it is undefined: no evidence is known, or no passage satisfies some hop.
    """
    if not evidence or not all(path and all(path) for path in evidence):
        return None
    relevant = passages_of(evidence)
    return len(relevant & frozenset().union(*shown)) / len(relevant)


def path_coverage(evidence: Evidence, shown: Sequence[frozenset[str]]) -> float | None:
    """Share of evidence paths that some rollout of the group completed; None if no path is known.

    Args:
        evidence: [path][hop] -> ids that satisfy the hop; paths with a hop that no passage satisfies
            cannot be completed and are left out.
        shown: ids shown to each rollout of the group.
    """
    paths = [path for path in evidence if path and all(path)]
    if not paths:
        return None
    return sum(any(all(hop & ids for hop in path) for ids in shown) for path in paths) / len(paths)


def unique_ratio(items: Sequence[Hashable]) -> float | None:
    """Distinct items divided by items; None without items."""
    return len(set(items)) / len(items) if items else None


def redundancy(shown: Sequence[frozenset[str]]) -> float | None:
    """1 - |union| / sum of sizes over the sets shown to the group's rollouts; None if nothing was shown."""
    total = sum(map(len, shown))
    return 1 - len(frozenset().union(*shown)) / total if total else None


def rarefied_distinct(items: Sequence[Hashable], size: int) -> float | None:
    """Expected number of distinct items among `size` items drawn without replacement (Hurlbert 1971).

    It compares groups with different numbers of queries at equal counts. None if there are fewer items than `size`.
    """
    return None if len(items) < size or size < 1 else diff_at_k(items, size)


def diff_at_k(outcomes: Sequence[Hashable], k: int) -> float:
    """Unbiased estimate of the distinct outcomes in k of n draws: sum_o [1 - C(n - n_o, k) / C(n, k)]."""
    n = len(outcomes)
    if not 1 <= k <= n:
        raise ValueError(f"k must lie between 1 and the {n} samples, got {k}")
    total = math.comb(n, k)
    return sum(1 - math.comb(n - count, k) / total for count in Counter(outcomes).values())


def rarefied_union(sets: Sequence[frozenset[str]], size: int) -> float | None:
    """Expected size of the union of `size` of the sets, drawn without replacement (sample-based rarefaction).

    This counts distinct passages at an equal number of queries: sum_p [1 - C(n - n_p, size) / C(n, size)], where n_p of
    the n queries returned passage p (Colwell, Mao and Chang 2004). None if there are fewer sets than `size`.
    """
    n = len(sets)
    if n < size or size < 1:
        return None
    total = math.comb(n, size)
    appearances = Counter(item for each in sets for item in each)
    return sum(1 - math.comb(n - count, size) / total for count in appearances.values())


def effective_number(outcomes: Sequence[Hashable], order: float = 1) -> float:
    """Hill number of order q of the outcomes' empirical distribution: (sum p^q)^(1 / (1 - q)).

    Order 0 counts distinct outcomes, order 1 is exp(entropy), order 2 is 1 / sum p^2 (Hill 1973).

    Raises:
        ValueError: there is no outcome.
    """
    if not outcomes:
        raise ValueError("the effective number of no outcomes is undefined")
    p: NDArray[np.float64] = np.array(list(Counter(outcomes).values()), np.float64) / len(outcomes)
    if order == 1:
        return float(np.exp(-(p * np.log(p)).sum()))
    return float((p**order).sum() ** (1 / (1 - order)))
