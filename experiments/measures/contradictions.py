"""Rollouts whose recorded reward and whose exact match say the opposite of each other."""

from __future__ import annotations

from collections.abc import Iterable

from .rollout import Rollout
from .rows import ContradictionRow

__all__ = ["contradiction_row", "contradicts"]


def contradicts(em: float | None, reward: float | None) -> bool:
    """Whether a reward of 1 or more goes with a wrong answer by exact match, or one of 0 or less with a right one.

    Rewards between 0 and 1 contradict neither: they may be partial, as F1 is, or a right answer with costs taken off.
    """
    if em is None or reward is None:
        return False
    return reward >= 1 if em == 0 else em == 1 and reward <= 0


def contradiction_row(rollouts: Iterable[Rollout]) -> ContradictionRow | None:
    """Counts the rollouts of an arm whose reward and exact match contradict each other; None without any."""
    both = [(one.em, one.reward) for one in rollouts if one.em is not None and one.reward is not None]
    found = [em for em, reward in both if contradicts(em, reward)]
    if not found:
        return None
    return {
        "rollouts": len(found),
        "of": len(both),
        "share": len(found) / len(both),
        "rewarded": sum(em == 0 for em in found),
    }
