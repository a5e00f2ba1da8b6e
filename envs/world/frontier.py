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
from .mixtures import best_mixture
from .plans import deterministic_plans, plans_of

__all__ = [
    "AvailabilityTable",
    "Frontier",
    "FrontierPoint",
    "best_order",
    "ceiling",
    "check_supported",
    "cue_tables",
    "deterministic_plans",
    "fitted_frontier",
    "order_success",
    "pass_at_1",
    "pass_at_k",
    "population_table",
    "question_table",
    "replacement_success",
    "table_frontier",
    "uniform_orders",
]


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
        (config is not None and config.has_failures, "no query format may fail (format_failures)"),
        (index not in ("bm25s", "lucene"), "retrieval must be lexical (bm25s or lucene)"),
        (config is not None and spec.max_turns < config.budget + 1, "max_turns must be at least budget + 1"),
        (config is not None and spec.search_budget != config.budget, "the search budget must be the world's"),
    )
    for holds, reason in reasons:
        if holds:
            raise BerrypickError(f"no exact frontier here: {reason}; change that setting")


def table_frontier(
    table: AvailabilityTable, budget: int, k: int, *, num_points: int = 33, tolerance: float = 1e-6
) -> Frontier:
    """Maximises lambda * pass@1 + (1 - lambda) * pass@k over mixtures of plans, for `num_points` values of lambda.

    Args:
        table: distribution of the questions' kind sets.
        budget: queries an episode may make.
        k: of pass@k.
        num_points: number of weightings, evenly spaced from 0 to 1.
        tolerance: largest duality gap of a point.
    """
    plans = plans_of(table, budget)
    mixture = np.full(len(plans.success), 1 / len(plans.success))
    points = []
    for weight in np.linspace(0, 1, num_points):
        mixture, gap = best_mixture(plans, table.weights, k, float(weight), mixture, tolerance)
        p = mixture @ plans.success
        used = {int(i): float(mixture[i]) for i in np.flatnonzero(mixture > 1e-9)}
        points.append(FrontierPoint(pass_at_1(table, p), pass_at_k(table, p, k), gap, used))
    points.sort(key=lambda point: (point.pass_at_1, point.pass_at_k))
    return Frontier(k, tuple(points))


def fitted_frontier(questions: Sequence[Question], budget: int, k: int, *, num_points: int = 33) -> Frontier:
    """The frontier of a set of World questions: the best of a policy that knows how often each of them has which kinds.

    It is fitted to these questions, so it lies above the population's (`population.py`), and the more so the fewer they
    are: hold policies to it only on the questions that they were trained on. With cues, a policy has one mixture of
    plans for each cue value.

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
