"""An arm against its control, seed by seed: computed once, and read by tables, verdicts and the headline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from ...envs.world.frontier import Frontier
from .condition import Condition
from .series import Grid, Policy, Series, matched_difference, paired
from .table_cells import FRONTIER_K, condition_frontier

__all__ = ["Comparison", "avoidable_tax", "compare_arm", "frontier_distance", "pass_names", "policy_frontier", "waste"]

LANGUAGE_SIZES = (256, 512)
"""(Training, test) questions of the World that language models play; the frontier is that of the test questions."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm and its control in one condition.

    pass@1 and pass@k are the planned ones for a language model (`pass_names`).

    Attributes:
        policy: whose cells these are.
        condition: where both were trained.
        arm: name.
        control: name.
        arm_series: the arm's cells.
        control_series: the control's cells.
        difference: seed -> pass@1 of the arm minus that of the control.
        gain: seed -> the same of pass@k.
        price: seed -> pass@1 of the frontier at the arm's pass@k minus that at the control's; at most 0 where the arm
            has more pass@k. NaN where the frontier does not reach that pass@k.
        waste: seed -> pass@1 that the frontier has at the arm's pass@k and the arm has not.
        control_waste: the same of the control; difference = price - (waste - control_waste).
        matched: seed -> pass@1 of the arm minus the control's where the control, stopped early, had the arm's breadth.
    """

    policy: Policy
    condition: Condition
    arm: str
    control: str
    arm_series: Series
    control_series: Series
    difference: Mapping[int, float]
    gain: Mapping[int, float]
    price: Mapping[int, float]
    waste: Mapping[int, float]
    control_waste: Mapping[int, float]
    matched: Mapping[int, float]

    @property
    def pass_at_1(self) -> str:
        """The measure that `difference` is of."""
        return pass_names(self.policy)[0]

    @property
    def pass_at_k(self) -> str:
        """The measure that `gain` is of."""
        return pass_names(self.policy)[1]

    def of(self, measure: str) -> dict[int, float]:
        """Seed -> any measure of the arm minus that of the control."""
        return paired(self.arm_series.values(measure), self.control_series.values(measure))


def pass_names(policy: Policy) -> tuple[str, str]:
    """The measures that are pass@1 and pass@k of a policy: what a language model planned is held to the frontier."""
    suffix = "" if policy == "tabular" else "_plan"
    return f"pass@1{suffix}", f"pass@{FRONTIER_K}{suffix}"


def policy_frontier(grid: Grid, policy: Policy, condition: Condition) -> Frontier:
    """The exact frontier of the test questions that a policy was measured on."""
    return condition_frontier(condition, grid.sizes if policy == "tabular" else LANGUAGE_SIZES)


def compare_arm(
    grid: Grid, policy: Policy, condition: Condition, arm: str, strength: float | None = None
) -> Comparison | None:
    """Compares an arm with its control; None for a control, and where either has no cells.

    Args:
        grid: all series.
        policy: whose.
        condition: where.
        arm: name.
        strength: of a tabular arm; by default the one that claims are read at.
    """
    control = grid.arms[arm].control
    if not control:
        return None
    if policy == "tabular":
        at = grid.arms[arm].middle[0] if strength is None else strength
        first, second = grid.tabular.get((condition, arm, at)), grid.middle(condition, control)
    else:
        first, second = grid.language.get((condition, arm)), grid.language.get((condition, control))
    if first is None or second is None:
        return None
    one, many = pass_names(policy)
    front = policy_frontier(grid, policy, condition)
    best, best_control = (_best(front, series.values(many)) for series in (first, second))
    return Comparison(
        policy,
        condition,
        arm,
        control,
        first,
        second,
        difference=paired(first.values(one), second.values(one)),
        gain=paired(first.values(many), second.values(many)),
        price=paired(best, best_control),
        waste=paired(best, first.values(one)),
        control_waste=paired(best_control, second.values(one)),
        matched=matched_difference(first, second, one),
    )


def waste(grid: Grid, policy: Policy, condition: Condition, series: Series) -> dict[int, float]:
    """Seed -> pass@1 that the frontier has at this pass@k and the policy has not."""
    one, many = pass_names(policy)
    return paired(_best(policy_frontier(grid, policy, condition), series.values(many)), series.values(one))


def frontier_distance(grid: Grid, policy: Policy, condition: Condition, series: Series) -> dict[int, float]:
    """Seed -> pass@k that the frontier has at this pass@1 and the policy has not."""
    front = policy_frontier(grid, policy, condition)
    one, many = (series.values(name) for name in pass_names(policy))
    return {seed: front.value(one[seed]) - many[seed] for seed in series.seeds}


def _best(front: Frontier, many: Mapping[int, float]) -> dict[int, float]:
    return {seed: avoidable_tax(front, 0.0, value) for seed, value in many.items()}


_ROUNDING = 1e-6
"""Cells store seven digits."""


def avoidable_tax(front: Frontier, one: float, many: float) -> float:
    """The most pass@1 that the frontier has with at least this pass@k, minus the pass@1 at hand; NaN out of reach."""
    best = -math.inf
    points = sorted((point.pass_at_1, point.pass_at_k) for point in front.points)
    for (x0, y0), (x1, y1) in pairwise(points):
        for x, y in ((x0, y0), (x1, y1)):
            if y >= many - _ROUNDING:
                best = max(best, x)
        if (y0 - many) * (y1 - many) < 0:
            best = max(best, x0 + (many - y0) / (y1 - y0) * (x1 - x0))
    return math.nan if best == -math.inf else best - one
