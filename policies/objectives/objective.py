"""An objective: shape of the rewards, estimate of the advantages, bonus, terms of the token loss; and its state."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError
from .bonuses import Bonus, OutcomeCounts
from .estimates import Estimate
from .groups import Groups
from .losses import TokenBatch, clipped_policy_loss
from .ranges import finite
from .shapes import Shape
from .terms import TokenTerm

__all__ = ["Advantages", "Objective", "RlState", "check_group_size", "warn_if_idle"]

logger = logging.getLogger(__name__)


class Advantages(NamedTuple):
    """Advantages of Q groups of G rollouts.

    A token's advantage is the sum of both; tokens of the final answer get `base` only, unless the objective says
    otherwise.

    Attributes:
        base: float64 [Q, G], from the rewards.
        bonus: float64 [Q, G], from exploration, weighted.
    """

    base: Tensor
    bonus: Tensor


@dataclass(frozen=True)
class Objective:
    """Shape, then estimate, plus bonus, then the clipped token loss with its terms.

    Attributes:
        name: what runs record: the name with the options it was made with.
        summary: one line for `berrypick list`.
        shape: reshapes the rewards within groups.
        estimate: turns shaped rewards into advantages.
        bonus: added after normalisation; 0 for a question that all rollouts solve.
        bonus_weight: c of the papers.
        bonus_on_answer_tokens: whether tokens of the final answer get the bonus too. By default they do not, so that
            the policy cannot earn it by changing the answer alone.
        terms: change the loss of each token, in order.
        clip: how far a token's probability ratio may fall below and rise above 1.
        min_updates: updates per step below which its clip and terms have no effect. In the first update of a step all
            probability ratios are 1: no clip binds, and a penalty on the distance from the sampler has gradient 0.
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
    min_updates: int = 1

    def __post_init__(self) -> None:
        finite(weight=self.bonus_weight)
        if not all(side >= 0 for side in self.clip):
            raise ValueError(f"both sides of clip must be at least 0, got {self.clip[0]:g} and {self.clip[1]:g}")

    def advantages(self, g: Groups, counts: OutcomeCounts | None = None) -> Advantages:
        """Advantages of all rollouts.

        Args:
            g: complete groups.
            counts: outcomes of earlier steps of the run; None if there are none.
        """
        base = self.estimate(g, self.shape(g))
        if self.bonus is None:
            return Advantages(base, torch.zeros_like(base))
        bonus = self.bonus_weight * self.bonus(g, OutcomeCounts() if counts is None else counts)
        return Advantages(base, bonus.masked_fill(g.solved[:, None], 0.0))

    def token_loss(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Loss of each token, [N], and whether the clip removes the token's gradient, bool [N]."""
        loss, clipped = clipped_policy_loss(batch.log_probs, batch.old_log_probs, batch.advantages, self.clip)
        for term in self.terms:
            loss = term(batch.with_clipped(clipped), loss)
        return loss, clipped

    @property
    def needs_reference(self) -> bool:
        """Whether a term reads the reference model's log-probabilities."""
        return any(term.needs_reference for term in self.terms)

    @property
    def needs_entropy_gradient(self) -> bool:
        """Whether a term differentiates the entropies."""
        return any(term.needs_entropy_gradient for term in self.terms)


def check_group_size(objective: Objective, size: int) -> None:
    """Refuses an objective whose groups are so small that all advantages are 0, whatever the rewards.

    A shape or estimate may state its least size as an attribute `least_group_size`.

    Raises:
        BerrypickError: the groups are too small.
    """
    least = max(int(getattr(part, "least_group_size", 1)) for part in (objective.shape, objective.estimate))
    if size < least:
        raise BerrypickError(
            f"objective {objective.name} needs groups of at least {least} rollouts, got {size}: with k of all of them "
            f"every advantage is 0; choose a larger group size, or a k below {size}"
        )


def warn_if_idle(objective: Objective, updates: int) -> None:
    """Logs a warning if the objective has no effect at so few updates per step; trainers call it at their first step.

    Args:
        objective: of the run.
        updates: per step: epochs times mini-batches.
    """
    if updates < objective.min_updates:
        logger.warning(
            "objective %s is plain GRPO at one update per step, where all probability ratios are 1; "
            "set epochs to %d or more",
            objective.name,
            objective.min_updates,
        )


@dataclass
class RlState:
    """What an objective remembers from step to step; saved in every checkpoint.

    Attributes:
        counts: outcomes seen so far.
        coefficients: of adaptive terms, by name.
    """

    counts: OutcomeCounts = field(default_factory=OutcomeCounts)
    coefficients: dict[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """The state as JSON-serialisable values."""
        return {"counts": self.counts.state_dict(), "coefficients": dict(self.coefficients)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.counts.load_state_dict(state["counts"])
        self.coefficients = dict(state["coefficients"])
