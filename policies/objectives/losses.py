"""The token layer: log-probabilities and advantages to a loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["StepTokens", "TokenBatch", "clipped_policy_loss", "token_log_probs"]


@dataclass(frozen=True)
class StepTokens:
    """All policy tokens of an update, whatever the micro-batches; retrieved text is not among them.

    Attributes:
        old_log_probs: of the policy that sampled, [M], nats.
        advantages: of each token, [M].
        seed: for terms that draw.
        entropy: mean over the step's tokens of the distributions they were sampled from, nats.
    """

    old_log_probs: Tensor
    advantages: Tensor
    seed: int = 0
    entropy: float = 0.0

    @cached_property
    def covariance(self) -> Tensor:
        """(A - mean A)(log pi - mean log pi) of each token, [M] (arXiv 2505.22617), by the sampler's numbers."""
        advantages, log_probs = self.advantages.double(), self.old_log_probs.double()
        return (advantages - advantages.mean()) * (log_probs - log_probs.mean())


@dataclass(frozen=True)
class TokenBatch:
    """The policy tokens of one micro-batch, N of the step's M.

    Attributes:
        step: all tokens of the update.
        index: int64 [N], where these stand among the step's.
        log_probs: of the policy being trained, [N], with gradient.
        entropies: nats, [N]; with gradient where a term asks for it.
        reference_log_probs: of the reference policy, [N]; None where no term asks for it.
        clipped: whether the clip holds a token, bool [N].
        coefficients: of adaptive terms, by name.
    """

    step: StepTokens
    index: Tensor
    log_probs: Tensor
    entropies: Tensor
    reference_log_probs: Tensor | None = None
    clipped: Tensor | None = None
    coefficients: Mapping[str, float] = field(default_factory=dict)

    def with_clipped(self, clipped: Tensor) -> TokenBatch:
        """The same batch, told which tokens the clip holds."""
        return replace(self, clipped=clipped)

    @property
    def old_log_probs(self) -> Tensor:
        """Of the policy that sampled, [N]."""
        return self.step.old_log_probs[self.index].to(self.log_probs)

    @property
    def advantages(self) -> Tensor:
        """Of each token, [N]."""
        return self.step.advantages[self.index].to(self.log_probs)


def token_log_probs(logits: Tensor, targets: Tensor, *, entropy_gradient: bool = False) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of each distribution.

    Args:
        logits: [..., vocab].
        targets: int64 [...].
        entropy_gradient: let the entropy carry gradient.

    Returns:
        Two tensors [...], nats.
    """
    log_p = torch.log_softmax(logits.float() if logits.dtype != torch.float64 else logits, dim=-1)
    chosen = log_p.gather(-1, targets[..., None]).squeeze(-1)
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        # A choice of probability 0 adds 0, and 0 to the gradient.
        entropy = -(log_p.exp() * log_p.masked_fill(log_p == -torch.inf, 0.0)).sum(-1)
    return chosen, entropy


def clipped_policy_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """PPO's clipped surrogate per token (arXiv 1707.06347).

    Args:
        log_probs: of the policy being trained, [N] policy tokens.
        old_log_probs: of the policy that sampled, [N].
        advantages: of each token, [N].
        clip: how far the ratio may fall below and rise above 1; infinite for an unclipped ratio.

    Returns:
        Loss of each token, [N], and whether the clip holds it, bool [N].
    """
    ratio = (log_probs - old_log_probs).exp()
    plain = ratio * advantages
    clipped = ratio.clamp(1 - clip[0], 1 + clip[1]) * advantages
    return -torch.minimum(plain, clipped), clipped < plain
