"""The reward layer: reshapes the rewards of a group before the estimate sees them."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError
from .groups import Groups
from .ranges import at_least, positive

__all__ = ["Darling", "Lexical", "MaxAtK", "MultiRlvr", "Plain", "Shape", "Vpo", "cluster_diversity", "linked_clusters"]


class Shape(Protocol):
    """Reshapes rewards within groups. Permuting a group permutes its shaped rewards."""

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, float64 [Q, G]."""
        ...


@dataclass(frozen=True)
class Plain:
    """The unchanged rewards."""

    def __call__(self, g: Groups) -> Tensor:
        """Returns the rewards, [Q, G]."""
        return g.rewards


@dataclass(frozen=True)
class Darling:
    """DARLING (arXiv 2509.02534): reward times the share of the group outside the rollout's cluster.

    r_i * max((n - |C(i)|) / (n - 1), floor). All rollouts are clustered, right and wrong ones. Differs from the paper:
    a cluster is a set of rollouts that were shown the same passages, not the output of a learned classifier; `same`
    can plug one in (`equivalence.py`). Use it with an estimate that only subtracts the mean.

    Attributes:
        key: rollouts with the same outcome of this key form a cluster.
        floor: least factor.
        same: if set, clusters are the transitive closure of same(a, b) over the outcomes of `key`.
        shuffle: control: assigns clusters of the same sizes to the rollouts at random.
    """

    key: str = "retrieval"
    floor: float = 0.1
    same: Callable[[Hashable, Hashable], bool] | None = None
    shuffle: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor must lie in [0, 1], got {self.floor:g}")

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]; the factor of a group of one rollout is `floor`."""
        diversity = cluster_diversity(g, self.key, self.same)
        if self.shuffle:
            order = [_generator(g, q, 11).permutation(g.size) for q in range(len(g.question_ids))]
            diversity = diversity.gather(1, torch.from_numpy(np.stack(order)))
        return g.rewards * diversity.clamp_min(self.floor)


def cluster_diversity(g: Groups, key: str, same: Callable[[Hashable, Hashable], bool] | None = None) -> Tensor:
    """(n - |C(i)|) / (n - 1) for each rollout, float64 [Q, G]; 0 where n = 1."""
    rows = []
    for outcomes in g.outcomes[key]:
        labels: Sequence[Hashable] = outcomes if same is None else linked_clusters(outcomes, same)
        sizes = Counter(labels)
        rows.append([(g.size - sizes[label]) / max(g.size - 1, 1) for label in labels])
    return torch.tensor(rows, dtype=torch.float64)


def linked_clusters(items: Sequence[Hashable], same: Callable[[Hashable, Hashable], bool]) -> list[int]:
    """Cluster labels by union-find over all pairs. As published, one false positive merges two clusters."""
    parent = list(range(len(items)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for i in range(len(items)):
        for j in range(i):
            if root(i) != root(j) and same(items[i], items[j]):
                parent[root(i)] = root(j)
    return [root(i) for i in range(len(items))]


@dataclass(frozen=True)
class Lexical:
    """DARLING's lexical control: reward times the share of a rollout's n-grams that no other rollout of the group uses.

    N-grams are of whitespace tokens over the rollout's joined queries. No floor; without an n-gram the share is 0.

    Attributes:
        n: words of an n-gram.
    """

    n: int = 4

    def __post_init__(self) -> None:
        at_least(1, n=self.n)

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]."""
        shares = [_unseen_shares([_ngrams(queries, self.n) for queries in group]) for group in g.queries]
        return g.rewards * torch.tensor(shares, dtype=torch.float64)


def _ngrams(queries: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    words = " ".join(queries).lower().split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _unseen_shares(group: Sequence[Counter[tuple[str, ...]]]) -> list[float]:
    users = Counter(gram for own in group for gram in own)
    return [
        sum(count for gram, count in own.items() if users[gram] == 1) / own.total() if own else 0.0 for own in group
    ]


@dataclass(frozen=True)
class MaxAtK:
    """Max@K (arXiv 2510.23393; PKPO, 2505.15201): a rollout's contribution to the expected best of k rollouts.

    r_i = sum of max(S) over the k-subsets S that contain i, divided by C(n, k). With c of n binary rewards correct and
    z-normalised, it equals GRPO while n - c >= k, and all advantages are 0 beyond.

    Attributes:
        k: rollouts of a subset; None is max(2, n // 2), as in VPO's code.
    """

    k: int | None = None

    def __post_init__(self) -> None:
        if self.k is not None:
            at_least(1, k=self.k)

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]; k is at most the group's size."""
        n = g.size
        k = min(n, max(2, n // 2) if self.k is None else self.k)
        ordered, order = g.rewards.sort(dim=1, stable=True)
        # With ranks from 1: i is the best of C(i-1, k-1) subsets; j > i is the best of C(j-2, k-2) that contain i.
        own = torch.tensor([math.comb(i, k - 1) for i in range(n)], dtype=torch.float64)
        pair = torch.tensor([math.comb(j - 1, k - 2) if k > 1 and j > 0 else 0 for j in range(n)], dtype=torch.float64)
        above = (pair * ordered).flip(1).cumsum(1).flip(1) - pair * ordered
        credit = (own * ordered + above) / math.comb(n, k)
        return torch.zeros_like(g.rewards).scatter(1, order, credit)


@dataclass(frozen=True)
class Vpo:
    """VPO (arXiv 2605.22817): the expected best candidate of a rollout under random weightings of its reward vector.

    (1/K) sum_k max_s w_k . r_s with w_k ~ Dirichlet(alpha, ..., alpha), the same w_k for all rollouts of a group.
    Because of the maximum, identical vectors of a rollout count once. Use it with the population z-norm.

    Attributes:
        num_weights: K, random weightings.
        alpha: of the Dirichlet distribution.
    """

    num_weights: int = 100
    alpha: float = 1.0

    def __post_init__(self) -> None:
        at_least(1, num_weights=self.num_weights)
        positive(alpha=self.alpha)

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]."""
        vectors = _vectors(g)
        dims = vectors.shape[-1]
        weights = np.stack(
            [_generator(g, q, 13).dirichlet([self.alpha] * dims, self.num_weights) for q in range(len(vectors))]
        )
        return torch.einsum("qkd,qgmd->qgkm", torch.from_numpy(weights), vectors).amax(-1).mean(-1)


@dataclass(frozen=True)
class MultiRlvr:
    """VPO's baseline Multi-RLVR: one fixed weighting of the reward vector, summed over a rollout's candidates.

    Attributes:
        weights: of the d dimensions; None is 1/d each.
    """

    weights: tuple[float, ...] | None = None

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]."""
        vectors = _vectors(g)
        dims = vectors.shape[-1]
        weights = torch.tensor(self.weights or [1 / dims] * dims, dtype=torch.float64)
        return (vectors @ weights).sum(-1)


def _vectors(g: Groups) -> Tensor:
    if g.vectors is None:
        raise BerrypickError("this objective needs reward vectors; use it where episodes have evidence and answers")
    return g.vectors


def _generator(g: Groups, question: int, purpose: int) -> np.random.Generator:
    """Random draws for one group; they depend on step and question, not on the rest of the batch."""
    return np.random.default_rng((g.seed, purpose, zlib.crc32(g.question_ids[question].encode())))
