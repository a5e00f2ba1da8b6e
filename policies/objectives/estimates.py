"""The advantage layer: shaped rewards of a group to advantages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .groups import Groups

__all__ = ["DrGrpo", "Estimate", "Grpo"]


class Estimate(Protocol):
    """Turns shaped rewards into advantages, group by group."""

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, float64 [Q, G]."""
        ...


@dataclass(frozen=True)
class Grpo:
    """GRPO (arXiv 2402.03300): centred and divided by the group's sample standard deviation.

    The divisor is s + epsilon with s over n - 1, as verl and TRL have it; a group of equal rewards gets exact zeros.
    """

    epsilon: float = 1e-6

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero where a group has one rollout."""
        if g.size < 2:
            return torch.zeros_like(shaped)
        centred = shaped - shaped.mean(dim=1, keepdim=True)
        spread = shaped.std(dim=1, keepdim=True)
        flat = shaped.amax(dim=1, keepdim=True) == shaped.amin(dim=1, keepdim=True)
        return torch.where(flat, torch.zeros_like(shaped), centred / (spread + self.epsilon))


@dataclass(frozen=True)
class DrGrpo:
    """Dr. GRPO (arXiv 2503.20783): centred, not divided; the control of every method without a standard deviation."""

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]."""
        return shaped - shaped.mean(dim=1, keepdim=True)
