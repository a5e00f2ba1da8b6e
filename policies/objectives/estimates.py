"""The advantage layer: from the shaped rewards of a group to advantages."""

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
    """Turns shaped rewards into advantages, group by group. Permuting a group permutes its advantages."""

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, float64 [Q, G]."""
        ...


@dataclass(frozen=True)
class Grpo:
    """GRPO (arXiv 2402.03300): rewards minus the group's mean, divided by its standard deviation s.

    The divisor is s + epsilon. A group of equal rewards gets exact zeros.

    Attributes:
        epsilon: 1e-6 as in verl (TRL: 1e-4).
        population: whether s is computed over n instead of n - 1, as in VPO's code; verl and TRL use n - 1.
    """

    epsilon: float = 1e-6
    population: bool = False

    def __post_init__(self) -> None:
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero if a group has one rollout."""
        return _standardise(shaped, self.epsilon, self.population)


def _standardise(values: Tensor, epsilon: float, population: bool) -> Tensor:
    """Standardises over dimension 1; exact zeros where all values are equal.

    Args:
        values: float64 [Q, G] or [Q, G, d].
        epsilon: added to the standard deviation.
        population: see `Grpo`.
    """
    if values.shape[1] < 2:
        return torch.zeros_like(values)
    centred = values - values.mean(dim=1, keepdim=True)
    spread = values.std(dim=1, keepdim=True, unbiased=not population)
    high, low = values.amax(dim=1, keepdim=True), values.amin(dim=1, keepdim=True)
    # The mean of equal rewards may differ from them in the last bit, which would leave tiny advantages and a needless
    # backward pass: compare the values themselves.
    flat = high - low <= 1e-12 * torch.maximum(high.abs(), low.abs())
    return torch.where(flat, torch.zeros_like(values), centred / (spread + epsilon))


@dataclass(frozen=True)
class DrGrpo:
    """Dr. GRPO (arXiv 2503.20783): rewards minus the mean, undivided; the control of methods that do not divide."""

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]."""
        return shaped - shaped.mean(dim=1, keepdim=True)


@dataclass(frozen=True)
class Rloo:
    """RLOO (arXiv 2402.14740): each reward minus the mean of the others, which is n / (n - 1) (r_i - mean)."""

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero if a group has one rollout."""
        if g.size < 2:
            return torch.zeros_like(shaped)
        return (shaped - shaped.mean(dim=1, keepdim=True)) * (g.size / (g.size - 1))


@dataclass(frozen=True)
class PassAtK:
    """Pass@k training (arXiv 2508.10751): the mean advantage of all k-subsets that contain a rollout, in closed form.

    With c of n correct, rho = 1 - C(n-c, k) / C(n, k) and sigma = sqrt(rho (1 - rho)), a right rollout gets
    (1 - rho) / sigma and a wrong one (1 - rho - C(n-c-1, k-1) / C(n-1, k-1)) / sigma. Rewards must be 0 or 1.

    Attributes:
        k: rollouts of a subset.
        epsilon: added to sigma.
    """

    k: int = 4
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        at_least(1, k=self.k)
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero if all or none of the k-subsets succeed. k is at most the group's size."""
        if not bool(((shaped == 0) | (shaped == 1)).all()):
            raise BerrypickError("pass_at_k needs rewards of 0 or 1; choose reward=em, or the objective max_at_k")
        n, k = g.size, min(self.k, g.size)
        rows = []
        for row in shaped.tolist():
            wrong = n - int(sum(row))
            missed = math.comb(wrong, k) / math.comb(n, k)  # 1 - rho
            sigma = math.sqrt(missed * (1 - missed))
            # chance that the other k - 1 rollouts of a wrong one's subset are wrong too
            others = math.comb(wrong - 1, k - 1) / math.comb(n - 1, k - 1) if wrong else 0.0
            gains = (missed - others, missed) if sigma else (0.0, 0.0)
            rows.append([gains[int(value)] / (sigma + self.epsilon) for value in row])
        return torch.tensor(rows, dtype=shaped.dtype)


@dataclass(frozen=True)
class MaxRl:
    """MaxRL (arXiv 2602.02710): rewards minus the mean, divided by the mean, so rare successes weigh more."""

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero for a group whose rewards are all 0. Negative rewards are refused."""
        if bool((shaped < 0).any()):
            raise BerrypickError(
                "maxrl divides by the mean reward and needs rewards of at least 0; choose another reward"
            )
        mean = shaped.mean(dim=1, keepdim=True)
        return (shaped - mean) / (mean + self.epsilon)


@dataclass(frozen=True)
class Gdpo:
    """GDPO: standardises each dimension of the reward vector within its group and averages the dimensions.

    Reads the vectors of the first candidate; the shaped scalar rewards are not used.
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]."""
        if g.vectors is None:
            raise BerrypickError("gdpo needs reward vectors; use it where episodes have evidence and answers")
        return _standardise(g.vectors[:, :, 0, :], self.epsilon, population=False).mean(-1)
