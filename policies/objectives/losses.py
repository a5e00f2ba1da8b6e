"""The token layer: log-probabilities and advantages to a loss."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["clipped_policy_loss", "token_log_probs"]


def token_log_probs(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of each distribution.

    Args:
        logits: [..., vocab].
        targets: int64 [...].

    Returns:
        Two tensors [...], nats. The entropy carries no gradient.
    """
    log_p = torch.log_softmax(logits.float() if logits.dtype != torch.float64 else logits, dim=-1)
    chosen = log_p.gather(-1, targets[..., None]).squeeze(-1)
    with torch.no_grad():
        entropy = -(log_p.exp() * log_p).nan_to_num().sum(-1)
    return chosen, entropy


def clipped_policy_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """PPO's clipped surrogate per token (arXiv 1707.06347).

    Args:
        log_probs: of the policy being trained, [N] policy tokens.
        old_log_probs: of the policy that sampled, [N].
        advantages: of each token's rollout, [N].
        clip: how far the ratio may fall below and rise above 1.

    Returns:
        Loss of each token, [N], and whether the clip holds it, bool [N].
    """
    ratio = (log_probs - old_log_probs).exp()
    plain = ratio * advantages
    clipped = ratio.clamp(1 - clip[0], 1 + clip[1]) * advantages
    return -torch.minimum(plain, clipped), clipped < plain
