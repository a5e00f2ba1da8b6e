"""The exact frontier of the World: what any policy that cannot see availability may reach at best.

The success of a mixture of deterministic plans is linear in the mixture and pass@k is concave, so Frank-Wolfe solves
every weighting of pass@1 and pass@k and certifies it by its duality gap. The families of `availability.py` (uniform,
best order, with replacement) are reference points below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...retrieval_index.errors import BerrypickError
from ..questions import EpisodeSpec, Question
from .availability import (
    Array,
    AvailabilityTable,
    best_order,
    ceiling,
    cue_tables,
    order_success,
    pass_at_1,
    pass_at_k,
    population_table,
    question_table,
    replacement_success,
    uniform_orders,
)
from .config import WorldConfig
from .plans import ListedPlans, SearchedPlans, deterministic_plans, num_plans

__all__ = [
    "AvailabilityTable",
    "Frontier",
    "FrontierPoint",
    "best_order",
    "ceiling",
    "check_supported",
    "cue_tables",
    "deterministic_plans",
    "order_success",
    "pass_at_1",
    "pass_at_k",
    "population_table",
    "question_frontier",
    "question_table",
    "replacement_success",
    "table_frontier",
    "uniform_orders",
]

MAX_LISTED_PLANS = 5000


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One optimal mixture.

    Attributes:
        pass_at_1: float.
        pass_at_k: float.
        gap: Frank-Wolfe's duality gap of the weighted objective this point solves, an upper bound on what is missing.
        mixture: plan index -> probability.
    """

    pass_at_1: float
    pass_at_k: float
    gap: float
    mixture: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Frontier:
    """Best pass@k for each pass@1, over all mixtures of plans; points by rising pass@1."""

    k: int
    points: tuple[FrontierPoint, ...]

    def value(self, at_pass_1: float) -> float:
        """Best pass@k of a policy whose pass@1 is at least `at_pass_1`.

        Linear between points, which mixing attains or exceeds by concavity (so the value is a lower bound, exact at
        the points); left of the first point it is that point's, the free maximum; right of the last one nothing is
        attainable and the last point's value is returned.
        """
        x = np.array([point.pass_at_1 for point in self.points])
        y = np.array([point.pass_at_k for point in self.points])
        return float(np.interp(at_pass_1, x, y))

    @property
    def max_gap(self) -> float:
        """The largest duality gap of its points."""
        return max(point.gap for point in self.points)


def check_supported(spec: EpisodeSpec, config: WorldConfig | None, index: str = "bm25s") -> None:
    """Refuses settings in which the exact values do not hold."""
    reasons = (
        (config is None, "it is defined for berrypick/World-v0"),
        (spec.top_k != 1, "a query must bring one passage (top_k=1)"),
        (spec.num_answers != 1, "one answer must be asked for"),
        (config is not None and config.num_answers != 1, "the world must hold one answer (num_answers=1)"),
        (index not in ("bm25s", "lucene"), "retrieval must be lexical (bm25s or lucene)"),
        (config is not None and spec.max_turns < config.budget + 1, "max_turns must be at least budget + 1"),
        (config is not None and spec.search_budget != config.budget, "the search budget must be the world's"),
    )
    for holds, reason in reasons:
        if holds:
            raise BerrypickError(f"no exact frontier here: {reason}; change that setting")


def table_frontier(
    table: AvailabilityTable,
    budget: int,
    k: int,
    *,
    num_points: int = 33,
    tolerance: float = 1e-6,
    max_steps: int = 4000,
) -> Frontier:
    """Sweeps lambda * pass@1 + (1 - lambda) * pass@k over mixtures of plans.

    p is linear in the mixture and pass@k concave, so pairwise Frank-Wolfe (Lacoste-Julien and Jaggi, 2015) converges
    and its duality gap certifies each point.
    """
    listed = num_plans(table.num_kinds, table.hops, budget) <= MAX_LISTED_PLANS
    plans = ListedPlans(table, budget) if listed else SearchedPlans(table, budget)
    mixture = np.full(len(plans.success), 1 / len(plans.success))
    points = []
    for weight in np.linspace(0, 1, num_points):
        mixture, gap = _pairwise_frank_wolfe(plans, table.weights, k, float(weight), mixture, tolerance, max_steps)
        p = mixture @ plans.success
        kept = {int(i): float(mixture[i]) for i in np.flatnonzero(mixture > 1e-9)}
        points.append(FrontierPoint(pass_at_1(table, p), pass_at_k(table, p, k), gap, kept))
    points.sort(key=lambda point: (point.pass_at_1, point.pass_at_k))
    return Frontier(k, tuple(points))


def question_frontier(questions: Sequence[Question], budget: int, k: int, *, num_points: int = 33) -> Frontier:
    """The frontier of a set of World questions; with a cue, a policy mixes plans for each cue value apart.

    At one weighting of pass@1 and pass@k the cue values are separate problems, so points of equal weighting add up by
    share. `mixture` is then that of the first cue value.
    """
    parts = cue_tables(questions)
    curves = [table_frontier(table, budget, k, num_points=num_points) for _, table in parts]
    if len(parts) == 1:
        return curves[0]
    points = []
    for same in zip(*(curve.points for curve in curves), strict=True):
        shares = [share for share, _ in parts]
        points.append(
            FrontierPoint(
                sum(share * point.pass_at_1 for share, point in zip(shares, same)),
                sum(share * point.pass_at_k for share, point in zip(shares, same)),
                sum(share * point.gap for share, point in zip(shares, same)),
                same[0].mixture,
            )
        )
    return Frontier(k, tuple(points))


def _pairwise_frank_wolfe(
    plans: ListedPlans | SearchedPlans,
    weights: Array,
    k: int,
    balance: float,
    mixture: Array,
    tolerance: float,
    max_steps: int,
) -> tuple[Array, float]:
    mixture = mixture.copy()
    certified = gap = np.inf
    for _ in range(max_steps):
        p = mixture @ plans.success
        gains = weights * (balance + (1 - balance) * k * (1 - p) ** (k - 1))
        gradient = plans.success @ gains
        best = int(gradient.argmax())
        gap = float(gradient[best] - mixture @ gradient)
        if not plans.complete and gap <= max(tolerance, certified / 2):  # the plans at hand are used up: search for one
            best = plans.best(gains)
            mixture = np.append(mixture, np.zeros(len(plans.success) - len(mixture)))
            gradient = plans.success @ gains
            certified = gap = float(gradient[best] - mixture @ gradient)
        if gap <= tolerance:
            break
        success = plans.success
        used = np.flatnonzero(mixture > 0)
        worst = int(used[gradient[used].argmin()])
        step = _line_search(p, success[best] - success[worst], weights, k, balance, float(mixture[worst]))
        mixture[best] += step
        mixture[worst] = mixture[worst] - step if step < mixture[worst] else 0.0
    return mixture / mixture.sum(), gap if plans.complete else certified


def _line_search(p: Array, direction: Array, weights: Array, k: int, balance: float, longest: float) -> float:
    """Bisection on the derivative of the concave objective along a direction."""

    def slope(step: float) -> float:
        q = np.minimum(np.maximum(p + step * direction, 0.0), 1.0)  # np.clip takes longer where arrays are short
        return float(weights @ (direction * (balance + (1 - balance) * k * (1 - q) ** (k - 1))))

    if slope(longest) >= 0:
        return longest
    low, high = 0.0, longest
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low
