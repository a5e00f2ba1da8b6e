"""An objective: shape of the rewards, estimate of the advantages, bonus, terms of the token loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .bonuses import Bonus, OutcomeCounts
from .estimates import Estimate
from .groups import Groups
from .losses import TokenBatch, clipped_policy_loss
from .ranges import finite
from .shapes import Shape
from .terms import TokenTerm

__all__ = ["Advantages", "Objective"]


class Advantages(NamedTuple):
    """Both float64 [Q, G]; a token's advantage is their sum, on answer tokens `base` alone by default."""

    base: Tensor
    bonus: Tensor


@dataclass(frozen=True)
class Objective:
    """Shape, then estimate, plus bonus, then the clipped token loss with its terms.

    Attributes:
        name: what runs record; with its options, where it was given any.
        summary: one line for `berrypick list`.
        bonus: added after normalisation; 0 for a question that all rollouts solve.
        bonus_weight: c of the papers.
        bonus_on_answer_tokens: else the bonus keeps off the final answer's tokens, so that it cannot be earned by
            editing the answer alone.
        clip: how far a token's probability ratio may fall below and rise above 1.
    """

    name: str
    summary: str
    shape: Shape
    estimate: Estimate
    bonus: Bonus | None = None
    bonus_weight: float = 0.2
    bonus_on_answer_tokens: bool = False
    terms: tuple[TokenTerm, ...] = ()
    clip: tuple[float, float] = (0.2, 0.2)

    def __post_init__(self) -> None:
        finite(weight=self.bonus_weight)
        if not all(side >= 0 for side in self.clip):
            raise ValueError(f"a clip must be at least 0 on either side, got {self.clip[0]:g} and {self.clip[1]:g}")

    def advantages(self, g: Groups, counts: OutcomeCounts | None = None) -> Advantages:
        """Advantages of all rollouts.

        Args:
            g: whole groups.
            counts: the run's, before this step's outcomes are added; None is an empty table.
        """
        base = self.estimate(g, self.shape(g))
        if self.bonus is None:
            return Advantages(base, torch.zeros_like(base))
        bonus = self.bonus_weight * self.bonus(g, OutcomeCounts() if counts is None else counts)
        return Advantages(base, bonus.masked_fill(g.solved[:, None], 0.0))

    def token_loss(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Loss of each token, [N], and whether the clip holds it, bool [N]."""
        loss, held = clipped_policy_loss(batch.log_probs, batch.old_log_probs, batch.advantages, self.clip)
        for term in self.terms:
            loss = term(batch.with_clipped(held), loss)
        return loss, held

    @property
    def needs_reference(self) -> bool:
        """Whether a term reads the reference policy."""
        return any(term.needs_reference for term in self.terms)

    @property
    def needs_entropy_gradient(self) -> bool:
        """Whether a term differentiates entropies."""
        return any(term.needs_entropy_gradient for term in self.terms)
