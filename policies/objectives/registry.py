"""Objectives by name."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...retrieval_index.errors import UnknownNameError
from .estimates import DrGrpo, Estimate, Grpo
from .groups import Groups
from .shapes import Darling, Plain, Shape

__all__ = ["OBJECTIVES", "Objective", "get_objective"]


@dataclass(frozen=True)
class Objective:
    """Shape of the rewards, then estimate of the advantages, then the clipped token loss.

    Attributes:
        summary: one line for `berrypick list`.
        clip: how far a token's probability ratio may fall below and rise above 1.
    """

    name: str
    summary: str
    shape: Shape
    estimate: Estimate
    clip: tuple[float, float] = (0.2, 0.2)

    def advantages(self, g: Groups) -> Tensor:
        """Advantages of all rollouts, float64 [Q, G]."""
        return self.estimate(g, self.shape(g))


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("grpo", "GRPO: reward centred and divided by the group's spread", Plain(), Grpo()),
        Objective("dr_grpo", "Dr. GRPO: reward centred only", Plain(), DrGrpo()),
        Objective(
            "darling",
            "DARLING: reward times distance from the rollout's retrieval cluster, centred",
            Darling(),
            DrGrpo(),
        ),
    )
}


def get_objective(name: str) -> Objective:
    """The objective of that name; an unknown one raises `UnknownNameError`."""
    if name not in OBJECTIVES:
        raise UnknownNameError("objective", name, OBJECTIVES)
    return OBJECTIVES[name]
