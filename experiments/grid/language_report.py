"""Rows of the language model: what it planned apart from giving up and execution, each arm against its control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...envs.metrics.statistics import Estimate
from ..report.format import Report
from .comparison import compare_arm, frontier_distance, waste
from .condition import Condition
from .series import Grid, Series, estimate_of, estimate_row, matched_difference, trajectory
from .table_cells import FRONTIER_K

__all__ = ["BROKEN", "LANGUAGE_MEASURES", "language_rows", "without_broken"]

_PLANNED, _PLANNED_K = "pass@1_plan", f"pass@{FRONTIER_K}_plan"
LANGUAGE_MEASURES = (
    _PLANNED, "give_up_loss", "execution_loss", "pass@1", f"pass@{FRONTIER_K}", _PLANNED_K, "breadth", "kind_entropy",
    "query_token_entropy", "query_sequence_entropy", "semantic_query_entropy", "policy_tokens",
    "pass@1_population", f"pass@{FRONTIER_K}_population", "breadth_population", "kind_entropy_population",
    "forgotten_population", "uniform_population", "kind_information_logits", "outside_kind_words",
)  # fmt: skip
_ALONG = (
    _PLANNED, _PLANNED_K, "breadth", "kind_entropy", "query_token_entropy", "pass@1_population",
    f"pass@{FRONTIER_K}_population",
)  # fmt: skip

BROKEN = 0.05
"""Most pass@1 that may be lost to giving up and wrong execution while the plan still describes the policy."""


def _broken_worlds(one: Series) -> dict[int, float]:
    """World -> pass@1 lost between plan and success at the last checkpoint, where it is more than `BROKEN`.

    A policy that gives up is credited with a uniform order of the kinds it did not ask, so that a broken one looks
    diverse.
    """
    give_up, execution = one.values("give_up_loss"), one.values("execution_loss")
    lost = {world: give_up[world] + execution[world] for world in one.worlds}
    return {world: value for world, value in lost.items() if value > BROKEN}


def without_broken(differences: Mapping[int, float], arm: Series, control: Series) -> tuple[list[int], Estimate | None]:
    """Worlds in which the arm or its control broke, and the mean difference over the others; None if none is left."""
    broken = sorted({*_broken_worlds(arm), *_broken_worlds(control)} & set(differences))
    return broken, estimate_of([value for world, value in differences.items() if world not in broken])


def language_rows(grid: Grid, measures: Sequence[str] = ()) -> dict[str, dict[str, Report]]:
    """Condition -> arm -> row at the last checkpoint; arms without a finished cell are left out.

    Args:
        grid: all series.
        measures: of the cells, where the experiment brings its own.
    """
    out: dict[str, dict[str, Report]] = {}
    for (condition, arm), one in grid.language.items():
        if one.worlds:
            out.setdefault(condition.name, {})[arm] = _row(grid, condition, arm, one, measures)
    return out


def _row(grid: Grid, condition: Condition, arm: str, one: Series, own: Sequence[str]) -> Report:
    names, along = own or LANGUAGE_MEASURES, own or _ALONG
    row: dict[str, Any] = {
        "worlds": one.worlds,
        "broken": {str(world): lost for world, lost in _broken_worlds(one).items()},
        "missing": {str(world): why for world, why in sorted(one.missing.items())},
        "measures": {name: estimate_row(one.values(name)) for name in names},
        "start": {name: estimate_row(one.values(name, step=0)) for name in names},
        "frontier_distance": estimate_row(frontier_distance("language model", condition, one)),
        "waste": estimate_row(waste("language model", condition, one)),
        "greedy": estimate_row([_greedy(one, world) for world in one.worlds]),
        "trajectory": trajectory(one, along, one.steps),
    }
    # A spec may be run before the experiment has an arm of its name, which would say what its control is.
    found = compare_arm(grid, "language model", condition, arm) if arm in grid.arms else None
    if found is not None and found.control_series.worlds:
        row["control"] = found.control
        row["difference"] = {name: estimate_row(found.of(name)) for name in names}
        row["price"] = estimate_row(found.price)
        row["control_waste"] = estimate_row(found.control_waste)
        row["matched"] = estimate_row(found.matched)
        for along, name in (("temperatures", "matched_by_temperature"), ("mixes", "matched_by_mixing")):
            values = matched_difference(one, found.control_series, found.pass_at_1, along=along, by=found.pass_at_k)
            row[name] = estimate_row(values)
    return row


def _greedy(series: Series, world: int) -> float:
    """Planned pass@1 of one greedy episode per question."""
    found = series.results[world].get("temperatures", {}).get("0", {})
    return float(found.get(_PLANNED, np.nan))
