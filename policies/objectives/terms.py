"""Terms of the token loss: per-token loss in, per-token loss out. They see policy tokens only."""

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
    """A term; what it needs beside the sampler's numbers it says, so that nothing is computed for nobody."""

    @property
    def needs_reference(self) -> bool:
        """Whether it reads the reference policy's log-probabilities."""
        ...

    @property
    def needs_entropy_gradient(self) -> bool:
        """Whether it differentiates entropies."""
        ...

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The new loss of each token, [N]."""
        ...

    def next_coefficients(self, coefficients: Mapping[str, float], entropy: float) -> dict[str, float]:
        """Coefficients of the next step, given the step's mean token entropy in nats."""
        ...


@dataclass(frozen=True)
class _Term:
    """What most terms need: nothing."""

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
    """loss - coefficient * H_t."""

    coefficient: float = 1e-3

    def __post_init__(self) -> None:
        finite(coefficient=self.coefficient)

    @property
    def needs_entropy_gradient(self) -> bool:
        return True

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss less the entropy's share."""
        return loss - self.coefficient * batch.entropies


@dataclass(frozen=True)
class AdaptiveEntropy(_Term):
    """Entropy bonus whose coefficient rises by `delta` after a step below the target and falls by it after one above.

    The rule of TRL's adaptive entropy, after Skywork-OR1 (arXiv 2505.22312): the bonus acts only in steps whose sampled
    entropy is at most the target.
    """

    target: float = 0.5
    delta: float = 5e-3
    start: float = 0.0
    least: float = 0.0
    most: float = 1.0

    def __post_init__(self) -> None:
        at_least(0, target=self.target, delta=self.delta)
        finite(start=self.start, least=self.least)
        at_least(self.least, most=self.most)

    @property
    def needs_entropy_gradient(self) -> bool:
        return True

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss less the entropy's share; the loss as it is in a step above the target."""
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
    """beta times the k3 estimate of KL(policy || reference), as GRPO's loss has it (arXiv 2402.03300)."""

    beta: float = 1e-3

    def __post_init__(self) -> None:
        at_least(0, beta=self.beta)

    @property
    def needs_reference(self) -> bool:
        return True

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss plus the divergence's share."""
        difference = _reference(batch) - batch.log_probs
        return loss + self.beta * (difference.exp() - difference - 1)


@dataclass(frozen=True)
class KlK1(_Term):
    """beta times the k1 estimate of KL(policy || reference) as a penalty on each token's reward.

    The gradient is that of a reward -beta (log pi - log pi_ref): that of k1 itself would be noise of mean zero.
    """

    beta: float = 1e-3

    def __post_init__(self) -> None:
        at_least(0, beta=self.beta)

    @property
    def needs_reference(self) -> bool:
        return True

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss plus the divergence's share."""
        penalty = (batch.log_probs - _reference(batch)).detach()
        return loss + self.beta * penalty * (batch.log_probs - batch.old_log_probs).exp()


@dataclass(frozen=True)
class KlCov(_Term):
    """KL-Cov (arXiv 2505.22617): tokens of highest covariance are held by |log pi - log pi_old|; pair with no clip.

    Attributes:
        fraction: of the step's policy tokens (a fraction as in verl, not the original code's percentage).
        coefficient: of the penalty.
    """

    fraction: float = 2e-4
    coefficient: float = 1.0

    def __post_init__(self) -> None:
        fraction(fraction=self.fraction)
        at_least(0, coefficient=self.coefficient)

    def __call__(self, batch: TokenBatch, loss: Tensor) -> Tensor:
        """The loss plus the penalty on the chosen tokens."""
        covariance = batch.step.covariance
        count = max(1, int(self.fraction * len(covariance)))
        chosen = _among(covariance.topk(count).indices, batch)
        return loss + chosen * self.coefficient * (batch.log_probs - batch.old_log_probs).abs()


@dataclass(frozen=True)
class ClipCov(_Term):
    """Clip-Cov (arXiv 2505.22617): a random draw of tokens of high covariance gets no gradient.

    Drawn from tokens with low < cov < high, at most `fraction` of the step's; those the ratio clip already holds keep
    their loss. The published recipe widens that clip to 1.
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
        """The loss with the drawn tokens' set to zero."""
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
    assert batch.reference_log_probs is not None, "a trainer gives terms what they need"
    return batch.reference_log_probs


def _among(chosen: Tensor, batch: TokenBatch) -> Tensor:
    """Which tokens of the micro-batch are among the chosen of the step, bool [N]."""
    marks = torch.zeros(len(batch.step.advantages), dtype=torch.bool, device=chosen.device)
    marks[chosen] = True
    return marks[batch.index].to(batch.log_probs.device)
