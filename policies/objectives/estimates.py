"""The advantage layer: from the shaped rewards of a group to advantages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError
from .groups import Groups
from .ranges import at_least

__all__ = ["CorrectOnly", "DrGrpo", "Estimate", "Gdpo", "Grpo", "MaxRl", "Rloo", "UnsolvedOnly"]


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
    """GDPO (arXiv 2601.05242): standardises each dimension of the reward vector within its group, then averages them.

    Reads the vectors of the first candidate; the shaped scalar rewards are not used. Differs from the paper: it
    averages the dimensions where the paper sums them, and the paper's last step is an option.

    Attributes:
        epsilon: added to every standard deviation.
        batch_norm: whether to standardise the averages over all rollouts of the step, as the paper does. The length of
            the update then does not depend on the number of dimensions.
    """

    epsilon: float = 1e-6
    batch_norm: bool = False

    def __post_init__(self) -> None:
        at_least(0, epsilon=self.epsilon)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]."""
        if g.vectors is None:
            raise BerrypickError("gdpo needs reward vectors; use it where episodes have evidence and answers")
        averages = _standardise(g.vectors[:, :, 0, :], self.epsilon, population=False).mean(-1)
        if not self.batch_norm:
            return averages
        return _standardise(averages.reshape(1, -1), self.epsilon, population=False).reshape(averages.shape)


@dataclass(frozen=True)
class CorrectOnly:
    """Dr. GRPO that updates on right rollouts only: advantages of wrong ones are 0.

    For 0/1 rewards of n independent rollouts with chance p of success, the expected update is
    E[mean_i r_i (1 - mean r) grad log pi_i] = (n - 1) / n (1 - p) grad p, which is (n - 1) / (2 n) grad pass@2:
    without the wrong rollouts, Dr. GRPO trains pass@2.

    A control in the spirit of differential smoothing (arXiv 2511.19942), which argues that changes of the reward
    against collapse are needed on right rollouts only. It is not that method: the published one keeps wrong rollouts
    and adds -gamma log pi_old to the advantages of right ones and +gamma log pi_old to those of wrong ones (read in the
    abstract and in a summary, not in the paper's text).
    """

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; 0 for wrong rollouts. They do not sum to 0."""
        return DrGrpo()(g, shaped).masked_fill(~g.right, 0.0)


@dataclass(frozen=True)
class UnsolvedOnly:
    """Dr. GRPO on the groups with at most `most` right rollouts; all other groups have no advantage.

    A rule against overtraining on solved questions, after arXiv 2606.15455, where updates only on questions with zero
    observed successes raise pass@256. Differs from the paper, of which only the abstract was read: a group without any
    success has no gradient under 0/1 rewards, and few questions recur here, so successes are counted in the group
    itself, and by default one success is allowed. Its "Bayesian boundary gating" is not implemented.

    With 0/1 rewards, n rollouts and `most` = 1 the expected update is (n - 1) / n (1 - p)^(n - 2) grad p, which is
    1 / n grad pass@(n - 1).

    Attributes:
        most: right rollouts of a group that is still updated on. Groups of equal rewards have no advantage anyway, so
            from n - 1 on it is Dr. GRPO.
    """

    most: int = 1

    def __post_init__(self) -> None:
        at_least(1, most=self.most)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]."""
        unsolved = g.right.sum(dim=1, keepdim=True) <= self.most
        return DrGrpo()(g, shaped).masked_fill(~unsolved, 0.0)
