"""The reward layer: rewards of a group to the rewards that the estimate sees."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .groups import Groups

__all__ = ["Darling", "Plain", "Shape", "cluster_diversity"]


class Shape(Protocol):
    """Reshapes rewards within groups; equivariant under permutations of a group."""

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, float64 [Q, G]."""
        ...


@dataclass(frozen=True)
class Plain:
    """The rewards as they are."""

    def __call__(self, g: Groups) -> Tensor:
        """Returns the rewards, [Q, G]."""
        return g.rewards


@dataclass(frozen=True)
class Darling:
    """DARLING (arXiv 2509.02534): reward times the share of the group that lies outside the rollout's cluster.

    r_i * max((n - |C(i)|) / (n - 1), floor). All rollouts are clustered, right and wrong ones. Differs from the
    paper in the clusters: retrieval equivalence (the same set of passages was shown) instead of a learned
    classifier of equal meaning. Meant for an estimate that only centres.
    """

    key: str = "retrieval"
    floor: float = 0.1

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]; with one rollout a group there is nothing to differ from and the floor holds."""
        return g.rewards * cluster_diversity(g, self.key).clamp_min(self.floor)


def cluster_diversity(g: Groups, key: str) -> Tensor:
    """(n - |C(i)|) / (n - 1) for each rollout, float64 [Q, G]; 0 where n = 1."""
    rows = []
    for outcomes in g.outcomes[key]:
        sizes = Counter(outcomes)
        rows.append([(g.size - sizes[outcome]) / max(g.size - 1, 1) for outcome in outcomes])
    return torch.tensor(rows, dtype=torch.float64)
