"""Rows of the language model: the plan apart from giving up and execution, each arm against its own control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...envs.metrics.statistics import Estimate
from .arms import ARMS
from .series import (
    Series,
    avoidable_tax,
    estimate_of,
    estimate_row,
    matched_difference,
    paired,
    trajectory,
)
from .table_cells import FRONTIER_K, condition_frontier

__all__ = ["BROKEN", "LANGUAGE_MEASURES", "PLAN", "PLAN_K", "language_rows", "without_broken"]

PLAN, PLAN_K = "pass@1_plan", f"pass@{FRONTIER_K}_plan"
LANGUAGE_MEASURES = (
    PLAN, "give_up_loss", "execution_loss", "pass@1", f"pass@{FRONTIER_K}", PLAN_K, "breadth", "kind_entropy",
    "query_token_entropy", "query_sequence_entropy", "semantic_query_entropy", "policy_tokens",
)  # fmt: skip
QUESTIONS = (256, 512)
"""Training and test questions of the World's preset; its test questions are the frontier's."""


BROKEN = 0.05
"""Most pass@1 that may be lost to giving up and wrong execution while the plan still says what the policy does."""


def _broken_seeds(one: Series) -> dict[int, float]:
    """Seed -> pass@1 lost between plan and success at the last checkpoint, where it is more than `BROKEN`.

    What such a policy would have asked next is credited with a uniform order of kinds, so that its plan looks diverse.
    """
    give_up, execution = one.values("give_up_loss"), one.values("execution_loss")
    lost = {seed: give_up[seed] + execution[seed] for seed in one.seeds}
    return {seed: value for seed, value in lost.items() if value > BROKEN}


def without_broken(differences: Mapping[int, float], arm: Series, control: Series) -> tuple[list[int], Estimate | None]:
    """Seeds in which the arm or its control broke, and the mean difference over the others; None if none is left."""
    broken = sorted({*_broken_seeds(arm), *_broken_seeds(control)} & set(differences))
    return broken, estimate_of([value for seed, value in differences.items() if seed not in broken])


def language_rows(series: Mapping[tuple[str, str], Series]) -> dict[str, Any]:
    """Condition -> arm -> row at the last checkpoint; arms without a finished cell are left out."""
    out: dict[str, Any] = {}
    for (condition, arm), one in series.items():
        if one.seeds:
            control = series.get((condition, ARMS[arm].control))
            out.setdefault(condition, {})[arm] = _language_row(condition, arm, one, control)
    return out


def _language_row(condition: str, arm: str, one: Series, control: Series | None) -> dict[str, Any]:
    front = condition_frontier(condition.split("/")[0], QUESTIONS)
    ones, manys = one.values(PLAN), one.values(PLAN_K)
    row: dict[str, Any] = {
        "seeds": one.seeds,
        "broken": {str(seed): lost for seed, lost in _broken_seeds(one).items()},
        "missing": {str(seed): why for seed, why in sorted(one.missing.items())},
        "measures": {name: estimate_row(one.values(name)) for name in LANGUAGE_MEASURES},
        "start": {name: estimate_row(one.values(name, step=0)) for name in LANGUAGE_MEASURES},
        "frontier_distance": estimate_row([front.value(ones[s]) - manys[s] for s in one.seeds]),
        "avoidable_tax": estimate_row([avoidable_tax(front, ones[s], manys[s]) for s in one.seeds]),
        "greedy": estimate_row([_greedy(one, seed) for seed in one.seeds]),
        "trajectory": trajectory(one, (PLAN, PLAN_K, "breadth", "kind_entropy", "query_token_entropy"), one.steps),
    }
    if control is not None and control.seeds:
        differences = {name: paired(one.values(name), control.values(name)) for name in LANGUAGE_MEASURES}
        row["control"] = ARMS[arm].control
        row["difference"] = {name: estimate_row(d) for name, d in differences.items()}
        row["matched"] = estimate_row(matched_difference(one, control, PLAN))
    return row


def _greedy(series: Series, seed: int) -> float:
    """Planned pass@1 of one greedy episode a question."""
    found = series.results[seed].get("temperatures", {}).get("0", {})
    return float(found.get(PLAN, np.nan))
