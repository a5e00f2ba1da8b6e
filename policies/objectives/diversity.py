"""Shapes that pay for diversity: DARLING by clusters of rollouts, its additive form, and its lexical control."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .estimates import DrGrpo
from .groups import Groups
from .ranges import at_least, share

__all__ = ["Darling", "DarlingAdditive", "Lexical", "cluster_diversity", "linked_clusters"]


@dataclass(frozen=True)
class Darling:
    """DARLING (arXiv 2509.02534): reward times the share of the group outside the rollout's cluster.

    r_i * max(d_i^power, floor) with d_i = (n - |C(i)|) / (n - 1). All rollouts are clustered, right and wrong ones.
    Differs from the paper: a cluster is a set of rollouts that were shown the same passages, not the output of a
    learned classifier; `same` can plug one in (`equivalence.py`). The exponent is not in the paper, which has power 1:
    below that the floor alone hardly changes the strength, because few clusters are so large that it is reached. Use it
    with an estimate that only subtracts the mean.

    Attributes:
        key: rollouts with the same outcome of this key form a cluster.
        floor: least factor.
        same: if set, clusters are the transitive closure of same(a, b) over the outcomes of `key`.
        shuffle: control: assigns clusters of the same sizes to the rollouts at random.
        power: exponent of the diversity; 0 leaves the rewards as they are, large ones pay lone rollouts only.
        equal_norm: with `shuffle`, rescales each group so that its centred rewards have the norm of those with the real
            clusters: a control whose updates are as long. A group whose random factors are all 0 stays 0.
    """

    key: str = "retrieval"
    floor: float = 0.1
    same: Callable[[Hashable, Hashable], bool] | None = None
    shuffle: bool = False
    power: float = 1.0
    equal_norm: bool = False

    def __post_init__(self) -> None:
        share(floor=self.floor)
        at_least(0, power=self.power)

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]; the factor of a group of one rollout is `floor`."""
        diversity = cluster_diversity(g, self.key, self.same)
        if not self.shuffle:
            return self._shaped(g, diversity)
        order = [g.generator(q, 11).permutation(g.size) for q in range(len(g.question_ids))]
        shuffled = self._shaped(g, diversity.gather(1, torch.from_numpy(np.stack(order))))
        if not self.equal_norm:
            return shuffled
        real, own = (DrGrpo()(g, values).norm(dim=1, keepdim=True) for values in (self._shaped(g, diversity), shuffled))
        return shuffled * torch.where(own > 0, real / own, 1.0)

    def _shaped(self, g: Groups, diversity: Tensor) -> Tensor:
        return g.rewards * diversity.pow(self.power).clamp_min(self.floor)


@dataclass(frozen=True)
class DarlingAdditive:
    """DARLING with a sum: reward times (1 + weight x diversity), that is the reward plus a bonus of right rollouts.

    Differs from the paper, whose additive form lambda_q r + lambda_d d also pays wrong rollouts for being different;
    here the bonus is earned by right ones only, as in its published product. A right rollout keeps its whole reward
    whatever its cluster, so no floor is needed. Larger weights also lengthen the updates, by up to 1 + weight.

    Attributes:
        weight: of the diversity; 0 leaves the rewards as they are.
        key: see `Darling`.
    """

    weight: float = 0.5
    key: str = "retrieval"

    def __post_init__(self) -> None:
        at_least(0, weight=self.weight)

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]."""
        return g.rewards * (1 + self.weight * cluster_diversity(g, self.key))


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

    N-grams are of whitespace tokens over the rollout's joined queries; without an n-gram the share is 0. Floor and
    exponent are not in the paper: they are for comparisons with a `Darling` of the same floor and exponent.

    Attributes:
        n: words of an n-gram.
        floor: least factor.
        power: exponent of the share.
    """

    n: int = 4
    floor: float = 0.0
    power: float = 1.0

    def __post_init__(self) -> None:
        at_least(1, n=self.n)
        share(floor=self.floor)
        at_least(0, power=self.power)

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]."""
        shares = [_unseen_shares([_ngrams(queries, self.n) for queries in group]) for group in g.queries]
        return g.rewards * torch.tensor(shares, dtype=torch.float64).pow(self.power).clamp_min(self.floor)


def _ngrams(queries: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    words = " ".join(queries).lower().split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _unseen_shares(group: Sequence[Counter[tuple[str, ...]]]) -> list[float]:
    users = Counter(gram for own in group for gram in own)
    return [
        sum(count for gram, count in own.items() if users[gram] == 1) / own.total() if own else 0.0 for own in group
    ]
