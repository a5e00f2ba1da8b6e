"""The reward layer: reshapes the rewards of a group before the estimate sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError
from .groups import Groups
from .ranges import at_least, positive

__all__ = ["MaxAtK", "MultiRlvr", "Plain", "Shape", "ShuffledRewards", "Vpo"]


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
class ShuffledRewards:
    """Control: the rewards of a group, dealt to its rollouts at random.

    Updates are as long as with the rewards themselves, and say nothing about which rollout was good.
    """

    def __call__(self, g: Groups) -> Tensor:
        """Permuted rewards, [Q, G]."""
        order = [g.generator(q, 17).permutation(g.size) for q in range(len(g.question_ids))]
        return g.rewards.gather(1, torch.from_numpy(np.stack(order)))


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

    @property
    def least_group_size(self) -> int:
        """Smaller groups have one subset of k, so all rollouts have the same shaped reward."""
        return 3 if self.k is None else self.k + 1

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
            [g.generator(q, 13).dirichlet([self.alpha] * dims, self.num_weights) for q in range(len(vectors))]
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
