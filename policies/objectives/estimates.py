"""The advantage layer: shaped rewards of a group to advantages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError
from .groups import Groups
from .ranges import at_least

__all__ = ["DrGrpo", "Estimate", "Gdpo", "Grpo", "MaxRl", "PassAtK", "Rloo"]


class Estimate(Protocol):
    """Turns shaped rewards into advantages, group by group; equivariant under permutations of a group."""

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, float64 [Q, G]."""
        ...


@dataclass(frozen=True)
class Grpo:
    """GRPO (arXiv 2402.03300): centred and divided by the group's standard deviation.

    The divisor is s + epsilon; a group of equal rewards gets exact zeros.

    Attributes:
        epsilon: 1e-6 as verl has it (TRL: 1e-4).
        population: s over n instead of n - 1; VPO's code does so, verl and TRL do not.
    """

    epsilon: float = 1e-6
    population: bool = False

    def __post_init__(self) -> None:
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero where a group has one rollout."""
        return _standardise(shaped, self.epsilon, self.population)


def _standardise(values: Tensor, epsilon: float, population: bool) -> Tensor:
    """Over dimension 1; exact zeros where all values are equal."""
    if values.shape[1] < 2:
        return torch.zeros_like(values)
    centred = values - values.mean(dim=1, keepdim=True)
    spread = values.std(dim=1, keepdim=True, unbiased=not population)
    high, low = values.amax(dim=1, keepdim=True), values.amin(dim=1, keepdim=True)
    flat = high - low <= 1e-12 * torch.maximum(high.abs(), low.abs())
    return torch.where(flat, torch.zeros_like(values), centred / (spread + epsilon))


@dataclass(frozen=True)
class DrGrpo:
    """Dr. GRPO (arXiv 2503.20783): centred, not divided; the control of every method without a standard deviation."""

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]."""
        return shaped - shaped.mean(dim=1, keepdim=True)


@dataclass(frozen=True)
class Rloo:
    """RLOO (arXiv 2402.14740): each reward against the mean of the others, n / (n - 1) (r_i - mean)."""

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero where a group has one rollout."""
        if g.size < 2:
            return torch.zeros_like(shaped)
        return (shaped - shaped.mean(dim=1, keepdim=True)) * (g.size / (g.size - 1))


@dataclass(frozen=True)
class PassAtK:
    """Pass@k training (arXiv 2508.10751): the advantage of a rollout's groups of k, in closed form.

    With c of n correct, rho = 1 - C(n-c, k) / C(n, k) and sigma = sqrt(rho (1 - rho)): a right rollout gets
    (1 - rho) / sigma, a wrong one (1 - rho - C(n-c-1, k-1) / C(n-1, k-1)) / sigma. Rewards must be 0 or 1.
    """

    k: int = 4
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        at_least(1, k=self.k)
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero where all or no groups of k succeed. k is cut to the group's size."""
        if not bool(((shaped == 0) | (shaped == 1)).all()):
            raise BerrypickError("pass_at_k needs rewards of 0 or 1; choose reward=em, or the objective max_at_k")
        n, k = g.size, min(self.k, g.size)
        rows = []
        for row in shaped.tolist():
            wrong = n - int(sum(row))
            missed = math.comb(wrong, k) / math.comb(n, k)
            sigma = math.sqrt(missed * (1 - missed))
            others = math.comb(wrong - 1, k - 1) / math.comb(n - 1, k - 1) if wrong else 0.0
            gains = (missed - others, missed) if sigma else (0.0, 0.0)
            rows.append([gains[int(value)] / (sigma + self.epsilon) for value in row])
        return torch.tensor(rows, dtype=shaped.dtype)


@dataclass(frozen=True)
class MaxRl:
    """MaxRL (arXiv 2602.02710): centred and divided by the mean: rare successes weigh more. For rewards >= 0."""

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero for a group without reward."""
        if bool((shaped < 0).any()):
            raise BerrypickError(
                "maxrl divides by the mean reward and needs rewards of at least 0; choose another reward"
            )
        mean = shaped.mean(dim=1, keepdim=True)
        return (shaped - mean) / (mean + self.epsilon)


@dataclass(frozen=True)
class Gdpo:
    """GDPO: each dimension of the reward vector standardised within its group, then their mean.

    Reads the vectors of the first candidate; the shaped scalar is not used.
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]."""
        if g.vectors is None:
            raise BerrypickError("gdpo needs reward vectors; use it where episodes have evidence and answers")
        return _standardise(g.vectors[:, :, 0, :], self.epsilon, population=False).mean(-1)
