"""Terms of the token loss: each takes the loss of every policy token, [N], and returns a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .losses import TokenBatch
from .ranges import at_least, finite, fraction

__all__ = ["AdaptiveEntropy", "ClipCov", "Entropy", "KlCov", "KlK1", "KlK3", "TokenTerm"]


class TokenTerm(Protocol):
    """A term. Declares its extra inputs so that unused ones are never computed."""

    @property
    def needs_reference(self) -> bool:
        """Whether it reads the reference model's log-probabilities."""
        ...

    @property
    def needs_entropy_gradient(self) -> bool:
        """Whether it differentiates the entropies."""
        ...

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The new loss of each token, [N]."""
        ...

    def next_coefficients(self, coefficients: Mapping[str, float], entropy: float) -> dict[str, float]:
        """Coefficients for the next step, from the mean token entropy of this one, in nats."""
        ...


@dataclass(frozen=True)
class _Term:
    """Defaults of a term: no extra inputs, no adaptive coefficients."""

    @property
    def needs_reference(self) -> bool:
        return False

    @property
    def needs_entropy_gradient(self) -> bool:
        return False

    def next_coefficients(self, coefficients: Mapping[str, float], entropy: float) -> dict[str, float]:
        return dict(coefficients)


@dataclass(frozen=True)
class Entropy(_Term):
    """Entropy bonus: loss - coefficient * H_t."""

    coefficient: float = 1e-3

    def __post_init__(self) -> None:
        finite(coefficient=self.coefficient)

    @property
    def needs_entropy_gradient(self) -> bool:
        return True

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss minus the weighted entropy, [N]."""
        return loss - self.coefficient * batch.entropies


@dataclass(frozen=True)
class AdaptiveEntropy(_Term):
    """Entropy bonus whose coefficient follows a target entropy.

    The coefficient rises by `delta` after a step whose entropy is below the target, and falls by `delta` after any
    other step. As in TRL's adaptive entropy, after Skywork-OR1 (arXiv 2505.22312), the bonus applies only in steps
    whose sampled entropy is at most the target.

    Attributes:
        target: mean token entropy, nats.
        delta: change of the coefficient per step.
        start: first coefficient.
        least: lower bound of the coefficient.
        most: upper bound of the coefficient.
    """

    target: float = 0.5
    delta: float = 5e-3
    start: float = 0.0
    least: float = 0.0
    most: float = 1.0

    def __post_init__(self) -> None:
        at_least(0, target=self.target, delta=self.delta)
        finite(start=self.start, least=self.least, most=self.most)
        if self.most < self.least:
            raise ValueError(f"most must be at least {self.least:g}, got {self.most:g}")

    @property
    def needs_entropy_gradient(self) -> bool:
        return True

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss minus the weighted entropy, [N]; unchanged in a step above the target."""
        if batch.step.entropy > self.target:
            return loss
        return loss - batch.coefficients.get("entropy", self.start) * batch.entropies

    def next_coefficients(self, coefficients: Mapping[str, float], entropy: float) -> dict[str, float]:
        """Moves the coefficient towards the target entropy."""
        now = coefficients.get("entropy", self.start)
        moved = now + self.delta if entropy < self.target else now - self.delta
        return {**coefficients, "entropy": min(self.most, max(self.least, moved))}


@dataclass(frozen=True)
class KlK3(_Term):
    """beta times the k3 estimate of KL(policy || reference), as in GRPO's loss (arXiv 2402.03300)."""

    beta: float = 1e-3

    def __post_init__(self) -> None:
        at_least(0, beta=self.beta)

    @property
    def needs_reference(self) -> bool:
        return True

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss plus the weighted divergence, [N]."""
        difference = _reference(batch) - batch.log_probs
        return loss + self.beta * (difference.exp() - difference - 1)


@dataclass(frozen=True)
class KlK1(_Term):
    """beta times the k1 estimate of KL(policy || reference), as a penalty on each token's reward.

    The gradient is that of a reward of -beta (log pi - log pi_ref). Differentiating k1 itself would give noise of mean
    zero.
    """

    beta: float = 1e-3

    def __post_init__(self) -> None:
        at_least(0, beta=self.beta)

    @property
    def needs_reference(self) -> bool:
        return True

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss plus the weighted divergence, [N]."""
        penalty = (batch.log_probs - _reference(batch)).detach()
        return loss + self.beta * penalty * (batch.log_probs - batch.old_log_probs).exp()


@dataclass(frozen=True)
class KlCov(_Term):
    """KL-Cov (arXiv 2505.22617): a penalty |log pi - log pi_old| on the tokens of highest covariance.

    Use it without a ratio clip.

    Attributes:
        fraction: share of the update's policy tokens (a fraction as in verl; the original code has a percentage).
        coefficient: weight of the penalty.
    """

    fraction: float = 2e-4
    coefficient: float = 1.0

    def __post_init__(self) -> None:
        fraction(fraction=self.fraction)
        at_least(0, coefficient=self.coefficient)

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss plus the penalty on the chosen tokens, [N]."""
        covariance = batch.step.covariance
        count = max(1, int(self.fraction * len(covariance)))
        chosen = _among(covariance.topk(count).indices, batch)
        return loss + chosen * self.coefficient * (batch.log_probs - batch.old_log_probs).abs()


@dataclass(frozen=True)
class ClipCov(_Term):
    """Clip-Cov (arXiv 2505.22617): removes the gradient of a random draw of tokens of high covariance.

    Tokens that the ratio clip already removes keep their loss. The published recipe widens that clip to 1.

    Attributes:
        fraction: largest share of the update's policy tokens to draw.
        low: tokens are drawn from those with low < covariance < high.
        high: see `low`.
    """

    fraction: float = 2e-4
    low: float = 1.0
    high: float = 5.0

    def __post_init__(self) -> None:
        fraction(fraction=self.fraction)
        finite(low=self.low)
        if not self.high > self.low:
            raise ValueError(f"high must be above low, got {self.high:g} and {self.low:g}")

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss, with 0 for the drawn tokens, [N]."""
        covariance = batch.step.covariance
        inside = torch.nonzero((covariance > self.low) & (covariance < self.high))[:, 0]
        count = min(len(inside), max(1, int(self.fraction * len(covariance))))
        generator = torch.Generator().manual_seed(batch.step.seed)
        drawn = inside[torch.randperm(len(inside), generator=generator)[:count].to(inside.device)]
        chosen = _among(drawn, batch)
        if batch.clipped is not None:
            chosen &= ~batch.clipped
        return torch.where(chosen, 0.0 * loss, loss)


def _reference(batch: TokenBatch) -> Tensor:
    assert batch.reference_log_probs is not None, "trainers supply reference log-probabilities if a term needs them"
    return batch.reference_log_probs


def _among(chosen: Tensor, batch: TokenBatch) -> Tensor:
    """Which tokens of the micro-batch are among `chosen`, indices into the update's M tokens; bool [N]."""
    marks = torch.zeros(len(batch.step.advantages), dtype=torch.bool, device=chosen.device)
    marks[chosen] = True
    return marks[batch.index].to(batch.log_probs.device)
