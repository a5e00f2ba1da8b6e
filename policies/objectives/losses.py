"""The token layer: from log-probabilities and advantages to a loss per token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["StepTokens", "TokenBatch", "clipped_policy_loss", "token_log_probs"]


@dataclass(frozen=True)
class StepTokens:
    """All M policy tokens of an update, across its micro-batches; retrieved text is not among them.

    Attributes:
        old_log_probs: [M], log-probabilities under the policy that sampled, nats.
        advantages: [M].
        seed: for terms that draw at random.
        entropy: mean entropy of the distributions that the step's tokens were sampled from, nats.
    """

    old_log_probs: Tensor
    advantages: Tensor
    seed: int = 0
    entropy: float = 0.0

    @cached_property
    def covariance(self) -> Tensor:
        """(A - mean A)(log pi - mean log pi) of each token, [M] (arXiv 2505.22617).

        It uses the sampler's log-probabilities, so the policy's updates do not change it.
        """
        advantages, log_probs = self.advantages.double(), self.old_log_probs.double()
        return (advantages - advantages.mean()) * (log_probs - log_probs.mean())


@dataclass(frozen=True)
class TokenBatch:
    """The policy tokens of one micro-batch: N of the update's M.

    Attributes:
        step: all tokens of the update.
        index: int64 [N], indices of these tokens among the M.
        log_probs: [N], under the policy in training, with gradient.
        entropies: [N], nats; with gradient only if a term needs it.
        reference_log_probs: [N], under the reference model; None if no term needs them.
        clipped: bool [N], whether the clip removes a token's gradient.
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
        """The same batch with `clipped` set."""
        return replace(self, clipped=clipped)

    @property
    def old_log_probs(self) -> Tensor:
        """Log-probabilities under the policy that sampled, [N]."""
        return self.step.old_log_probs[self.index].to(self.log_probs)

    @property
    def advantages(self) -> Tensor:
        """Advantages of the tokens, [N]."""
        return self.step.advantages[self.index].to(self.log_probs)


def token_log_probs(logits: Tensor, targets: Tensor, *, entropy_gradient: bool = False) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of each distribution.

    Args:
        logits: [..., vocab].
        targets: int64 [...].
        entropy_gradient: whether to differentiate the entropy; without, its graph over [..., vocab] is never built.

    Returns:
        Two tensors [...], nats, in float32 at least.
    """
    log_p = torch.log_softmax(logits.float() if logits.dtype != torch.float64 else logits, dim=-1)
    chosen = log_p.gather(-1, targets[..., None]).squeeze(-1)
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        # p log p is 0 at p = 0; without the mask it would be 0 * -inf = NaN, in the gradient too.
        entropy = -(log_p.exp() * log_p.masked_fill(log_p == -torch.inf, 0.0)).sum(-1)
    return chosen, entropy


def clipped_policy_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """PPO's clipped surrogate per token (arXiv 1707.06347).

    Args:
        log_probs: [N], policy tokens under the policy in training.
        old_log_probs: [N], under the policy that sampled.
        advantages: [N].
        clip: how far the ratio may fall below and rise above 1; infinite for an unclipped ratio.

    Returns:
        Loss of each token, [N], and whether the clip removes its gradient, bool [N].
    """
    ratio = (log_probs - old_log_probs).exp()
    plain = ratio * advantages
    clipped = ratio.clamp(1 - clip[0], 1 + clip[1]) * advantages
    # Where the clipped value is the smaller one, the minimum does not depend on the ratio: no gradient.
    return -torch.minimum(plain, clipped), clipped < plain
