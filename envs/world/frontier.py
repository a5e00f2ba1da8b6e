"""The exact frontier of the World: the best pass@k for each pass@1 of any policy that cannot see availability.

Such a policy is a mixture of deterministic plans. Its success probability on a question is linear in the mixture, and
pass@k is concave in it, so the Frank-Wolfe method solves every weighting of pass@1 and pass@k. Its duality gap
certifies how close the solution is to the optimum. The orders of `availability.py` (uniform, best, with replacement)
are reference points on or below the frontier.
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
"""Up to so many plans all are listed; above, the best plan is searched for in each step."""


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One optimal mixture.

    Attributes:
        pass_at_1: pass@1 of the mixture.
        pass_at_k: pass@k of the mixture.
        gap: duality gap of the weighted objective; the optimum is at most this much better.
        mixture: plan index -> probability.
    """

    pass_at_1: float
    pass_at_k: float
    gap: float
    mixture: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Frontier:
    """Best pass@k for each pass@1 over all mixtures of plans; `points` are sorted by increasing pass@1."""

    k: int
    points: tuple[FrontierPoint, ...]

    def value(self, at_pass_1: float) -> float:
        """Best pass@k of a policy whose pass@1 is at least `at_pass_1`.

        Between points the value is interpolated linearly. Mixing two neighbours attains that value or more, because
        pass@k is concave, so it is a lower bound that is exact at the points. Left of the first point it is the value
        of that point, the maximum over all pass@1. Right of the last point no policy exists, and the value of the last
        point is returned.
        """
        x = np.array([point.pass_at_1 for point in self.points])
        y = np.array([point.pass_at_k for point in self.points])
        return float(np.interp(at_pass_1, x, y))

    @property
    def max_gap(self) -> float:
        """The largest duality gap of its points."""
        return max(point.gap for point in self.points)


def check_supported(spec: EpisodeSpec, config: WorldConfig | None, index: str = "bm25s") -> None:
    """Raises `BerrypickError` for settings in which the exact values are not valid."""
    reasons = (
        (config is None, "it is defined for berrypick/World-v0"),
        (spec.top_k != 1, "a query must bring one passage (top_k=1)"),
        (spec.num_answers != 1, "one answer must be asked for"),
        (config is not None and config.num_answers != 1, "the world must have one answer (num_answers=1)"),
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
    """Maximises lambda * pass@1 + (1 - lambda) * pass@k over mixtures of plans, for `num_points` values of lambda.

    Uses pairwise Frank-Wolfe (Lacoste-Julien and Jaggi, 2015) and starts each point at the mixture of the last one.

    Args:
        table: distribution of the questions' kind sets.
        budget: queries an episode may make.
        k: of pass@k.
        num_points: number of weightings, evenly spaced from 0 to 1.
        tolerance: largest duality gap of a point, unless `max_steps` is reached first.
        max_steps: maximum number of steps for a point.
    """
    listed = num_plans(table.num_kinds, table.hops, budget) <= MAX_LISTED_PLANS
    plans = ListedPlans(table, budget) if listed else SearchedPlans(table, budget)
    mixture = np.full(len(plans.success), 1 / len(plans.success))
    points = []
    for weight in np.linspace(0, 1, num_points):
        mixture, gap = _pairwise_frank_wolfe(plans, table.weights, k, float(weight), mixture, tolerance, max_steps)
        p = mixture @ plans.success
        used = {int(i): float(mixture[i]) for i in np.flatnonzero(mixture > 1e-9)}
        points.append(FrontierPoint(pass_at_1(table, p), pass_at_k(table, p, k), gap, used))
    points.sort(key=lambda point: (point.pass_at_1, point.pass_at_k))
    return Frontier(k, tuple(points))


def question_frontier(questions: Sequence[Question], budget: int, k: int, *, num_points: int = 33) -> Frontier:
    """The frontier of a set of World questions. With cues, a policy has one mixture of plans for each cue value.

    For a fixed weighting of pass@1 and pass@k, each cue value is a separate problem. Points of equal weighting are
    therefore averaged by the share of their questions. `mixture` is that of the first cue value.
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
    """The mixture that maximises balance * pass@1 + (1 - balance) * pass@k, and its duality gap.

    With a SearchedPlans, `plans.success` grows while this runs; the gap over its rows alone certifies nothing.
    """
    mixture = mixture.copy()
    certified = gap = np.inf
    for _ in range(max_steps):
        p = mixture @ plans.success  # [n], success probability of each question
        gains = weights * (balance + (1 - balance) * k * (1 - p) ** (k - 1))  # [n], derivative of the objective by p
        gradient = plans.success @ gains  # [plans], derivative by the weight of each plan
        best = int(gradient.argmax())
        # By concavity no mixture beats this one by more than max(gradient) - mixture @ gradient, the duality gap.
        gap = float(gradient[best] - mixture @ gradient)
        # If not all plans are listed, that bound holds only if `best` is the best of all plans, listed or not. The
        # search for it is expensive, so it runs only once the listed plans leave little to gain.
        if not plans.complete and gap <= max(tolerance, certified / 2):
            best = plans.best(gains)
            mixture = np.append(mixture, np.zeros(len(plans.success) - len(mixture)))
            gradient = plans.success @ gains
            certified = gap = float(gradient[best] - mixture @ gradient)
        if gap <= tolerance:
            break
        success = plans.success
        # The pairwise step moves weight from the worst plan in use to the best plan. The classic step, towards the best
        # plan alone, shrinks all weights, never removes a plan, and converges slowly.
        used = np.flatnonzero(mixture > 0)
        worst = int(used[gradient[used].argmin()])
        step = _line_search(p, success[best] - success[worst], weights, k, balance, float(mixture[worst]))
        mixture[best] += step
        mixture[worst] = mixture[worst] - step if step < mixture[worst] else 0.0
    return mixture / mixture.sum(), gap if plans.complete else certified


def _line_search(p: Array, direction: Array, weights: Array, k: int, balance: float, longest: float) -> float:
    """The step in [0, longest] that maximises the objective along a direction [n], by bisection on its derivative."""

    def slope(step: float) -> float:
        q = np.minimum(np.maximum(p + step * direction, 0.0), 1.0)  # faster than np.clip for short arrays
        return float(weights @ (direction * (balance + (1 - balance) * k * (1 - q) ** (k - 1))))

    if slope(longest) >= 0:
        return longest
    low, high = 0.0, longest
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low
