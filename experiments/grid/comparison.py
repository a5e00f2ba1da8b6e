"""An arm against its control, world by world: computed once, and read by tables, verdicts and the headline.

pass@1 of arm - control = price - (waste of the arm - waste of the control), an identity of arithmetic: price is what
the exact frontier of the population asks for the pass@k that the arm has more, waste what a policy lacks to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from ...retrieval_index.errors import BerrypickError
from .condition import Condition
from .series import Grid, Policy, Series, best_at_least, matched_difference, paired
from .table_cells import FRONTIER_K, condition_frontier

__all__ = [
    "POPULATION",
    "Comparison",
    "best_values",
    "compare_arm",
    "frontier_distance",
    "ladder_at",
    "ladder_difference",
    "largest_waste",
    "pass_names",
    "waste",
]

POPULATION = "_population"
"""End of the names of a language model's values in the population: "pass@1_population" is exact, "pass@1_plan" is
measured directly."""

LEAST_WASTE = -1e-5
"""F is certain to 1e-5; a policy further left than that would mean that the frontier or the values are wrong."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm and its control in one condition.

    Attributes:
        policy: whose cells these are.
        condition: where both were trained.
        arm: name.
        control: name.
        arm_series: the arm's cells.
        control_series: the control's cells.
        difference: world -> pass@1 of the arm minus that of the control.
        gain: world -> the same of pass@k.
        price: world -> F at the arm's pass@k minus F at the control's; at most 0 where the arm has more pass@k. Empty,
            like both wastes, where the condition has no frontier.
        waste: world -> F at the arm's pass@k minus its pass@1, at least 0.
        control_waste: the same of the control.
        matched: world -> pass@1 of the arm minus the most its control had, on its way, with at least as much pass@k.
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
        """World -> any measure of the arm minus that of the control."""
        return paired(self.arm_series.values(measure), self.control_series.values(measure))


def pass_names(policy: Policy) -> tuple[str, str]:
    """The measures that are pass@1 and pass@k of a policy in the population."""
    suffix = "" if policy == "tabular" else POPULATION
    return f"pass@1{suffix}", f"pass@{FRONTIER_K}{suffix}"


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
    best, best_control = (best_values(policy, condition, series) for series in (first, second))
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
        waste=waste(policy, condition, first),
        control_waste=waste(policy, condition, second),
        matched=matched_difference(first, second, one, by=many),
    )


def best_values(policy: Policy, condition: Condition, series: Series, *, step: int | None = None) -> dict[int, float]:
    """World -> F at the policy's pass@k; empty where the condition has no frontier."""
    if not condition.has_frontier:
        return {}
    front = condition_frontier(condition)
    many = series.values(pass_names(policy)[1], step=step)
    return {world: front.best_pass_at_1(value) for world, value in many.items()}


def waste(policy: Policy, condition: Condition, series: Series, *, step: int | None = None) -> dict[int, float]:
    """World -> pass@1 that F has at this pass@k and the policy has not; empty where there is no frontier.

    Raises:
        BerrypickError: a tabular policy is better than the frontier.
    """
    one, many = (series.values(name, step=step) for name in pass_names(policy))
    found = paired(best_values(policy, condition, series, step=step), one)
    if policy == "tabular" and found:
        widest = condition_frontier(condition).widest.pass_at_k  # above it F is NaN, which no comparison would notice
        beyond = {
            "pass@1": -min((value for value in found.values() if not math.isnan(value)), default=0.0),
            f"pass@{FRONTIER_K}": max(many.values()) - widest,
        }
        for name, value in beyond.items():
            if value > -LEAST_WASTE:
                raise BerrypickError(
                    f"{condition.name}: a policy has {value:.1e} more {name} than the frontier allows; "
                    "report this as a fault"
                )
    return found


def frontier_distance(policy: Policy, condition: Condition, series: Series) -> dict[int, float]:
    """World -> pass@k that the frontier has at this pass@1 and the policy has not; empty without a frontier."""
    if not condition.has_frontier:
        return {}
    front = condition_frontier(condition)
    one, many = (series.values(name) for name in pass_names(policy))
    return {world: front.best_pass_at_k(one[world]) - many[world] for world in series.worlds}


def largest_waste(grid: Grid, condition: Condition, arm: str) -> dict[int, float]:
    """World -> the largest waste over all strengths of an arm; only worlds that have every strength."""
    found = [waste("tabular", condition, grid.tabular[condition, arm, s]) for s in grid.strengths(condition, arm)]
    worlds = set.intersection(*map(set, found)) if found else set()
    return {world: max(one[world] for one in found) for world in sorted(worlds)}


def ladder_difference(grid: Grid, condition: Condition, series: Series, ladder: str) -> dict[int, float]:
    """World -> pass@1 of a series minus the most that another arm has, over its strengths, at as much pass@k.

    The strengths of the other arm and its control are joined by straight lines, in the order of the sweep.
    """
    rungs = [grid.tabular[condition, ladder, s] for s in grid.strengths(condition, ladder)]
    control = grid.middle(condition, grid.arms[ladder].control)
    rungs = [*([control] if control else []), *rungs]
    one, many = pass_names("tabular")
    out = {}
    for world in series.worlds:
        if rungs and all(world in rung.results for rung in rungs):
            bought, values = ([rung.values(name)[world] for rung in rungs] for name in (many, one))
            out[world] = series.values(one)[world] - best_at_least(bought, values, series.values(many)[world])
    return out


def ladder_at(
    grid: Grid, condition: Condition, series: Series, ladder: str, measure: str, equal: str
) -> dict[int, float]:
    """World -> what another arm has of a measure where it has as much of `equal` as the series.

    The strengths of the other arm and its control are joined by straight lines, in the order of the sweep. NaN where
    none of these lines crosses the value; of several crossings the first, from the control on, counts.
    """
    control = grid.middle(condition, grid.arms[ladder].control)
    rungs = [grid.tabular[condition, ladder, s] for s in grid.strengths(condition, ladder)]
    rungs = [*([control] if control else []), *rungs]
    out = {}
    for world, wanted in series.values(equal).items():
        if rungs and all(world in rung.results for rung in rungs):
            places = [(rung.values(equal)[world], rung.values(measure)[world]) for rung in rungs]
            out[world] = next(
                (
                    v0 + (wanted - e0) / (e1 - e0) * (v1 - v0)
                    for (e0, v0), (e1, v1) in pairwise(places)
                    if e0 != e1 and min(e0, e1) <= wanted <= max(e0, e1)
                ),
                math.nan,
            )
    return out
