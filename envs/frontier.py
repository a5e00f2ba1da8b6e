"""The exact frontier of the World: what any policy that cannot see availability may reach at best.

Notation: S_h is the set of kinds that hold the fact of hop h; a policy tries kinds one after another and goes to the
next hop at its first hit; B queries in all. Everything is enumerated in float64; nothing is sampled.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..retrieval_index.errors import BerrypickError
from .questions import EpisodeSpec, Question
from .world import WorldConfig

__all__ = [
    "AvailabilityTable",
    "Frontier",
    "FrontierPoint",
    "best_order",
    "ceiling",
    "check_supported",
    "deterministic_plans",
    "frontier",
    "order_success",
    "pass_at_1",
    "pass_at_k",
    "population_table",
    "question_table",
    "replacement_success",
    "uniform_orders",
]

Orders = Mapping[tuple[int, ...], float]
"""Probability of each order in which kinds are tried; drawn independently at each hop."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AvailabilityTable:
    """Which kinds hold the facts, as a distribution: rows [n][hop] of kind sets, weights [n] that sum to 1."""

    rows: tuple[tuple[frozenset[int], ...], ...]
    weights: Array
    num_kinds: int

    @property
    def hops(self) -> int:
        """Facts of a chain."""
        return len(self.rows[0])


def population_table(availability: Sequence[float], hops: int) -> AvailabilityTable:
    """The distribution that the generator draws from: kinds independent, hops independent."""
    kinds = range(len(availability))
    subsets = [frozenset(s) for size in range(len(availability) + 1) for s in itertools.combinations(kinds, size)]
    chance = {s: float(np.prod([a if k in s else 1 - a for k, a in enumerate(availability)])) for s in subsets}
    rows = tuple(itertools.product(subsets, repeat=hops))
    weights = np.array([np.prod([chance[s] for s in row]) for row in rows])
    return AvailabilityTable(rows, weights, len(availability))


def question_table(questions: Sequence[Question]) -> AvailabilityTable:
    """The empirical distribution of a set of World questions; equal rows are counted together."""
    if not questions:
        raise BerrypickError("a frontier needs at least one question")
    worlds = [question.metadata["world"] for question in questions]
    counts = Counter(tuple(frozenset(kinds) for kinds in world["present"]) for world in worlds)
    rows = tuple(sorted(counts, key=lambda row: [sorted(s) for s in row]))
    weights = np.array([counts[row] for row in rows], np.float64) / len(questions)
    return AvailabilityTable(rows, weights, len(worlds[0]["kinds"]))


def uniform_orders(num_kinds: int) -> dict[tuple[int, ...], float]:
    """All orders alike."""
    orders = list(itertools.permutations(range(num_kinds)))
    return dict.fromkeys(orders, 1 / len(orders))


def best_order(availability: Sequence[float]) -> dict[tuple[int, ...], float]:
    """Kinds by falling availability: the best single order for pass@1."""
    return {tuple(sorted(range(len(availability)), key=lambda k: (-availability[k], k))): 1.0}


def order_success(table: AvailabilityTable, orders: Orders, budget: int) -> Array:
    """p(S_1..S_H), the chance of an episode given the question: float64 [n].

    The first hit at hop h comes at query j with f_S(j) = sum_order D(order) 1[order_j in S, none before]; the
    numbers of queries add up over hops, so their distributions convolve.
    """
    first = {kinds: _first_hit(kinds, orders, table.num_kinds) for row in table.rows for kinds in row}
    return np.array([_within(budget, [first[kinds] for kinds in row]) for row in table.rows])


def replacement_success(table: AvailabilityTable, probabilities: Sequence[float], budget: int) -> Array:
    """The same for kinds drawn with replacement: f_S(j) = r (1 - r)^(j-1), r the mass of S."""
    hits = {
        kinds: np.array([0.0, *(r * (1 - r) ** j for j in range(budget))])
        for row in table.rows
        for kinds in row
        if (r := float(sum(probabilities[k] for k in kinds))) is not None
    }
    return np.array([_within(budget, [hits[kinds] for kinds in row]) for row in table.rows])


def pass_at_1(table: AvailabilityTable, success: Array) -> float:
    """Mean success."""
    return float(table.weights @ success)


def pass_at_k(table: AvailabilityTable, success: Array, k: int) -> float:
    """Chance that one of k independent episodes of a question succeeds, averaged over questions."""
    return float(table.weights @ (1 - (1 - success) ** k))


def ceiling(table: AvailabilityTable) -> float:
    """Share of questions that have an evidence path at all: the limit of pass@k when budget >= hops."""
    return float(sum(w for row, w in zip(table.rows, table.weights) if all(row)))


def _first_hit(kinds: frozenset[int], orders: Orders, num_kinds: int) -> Array:
    out = np.zeros(num_kinds + 1)
    for order, chance in orders.items():
        at = next((j for j, kind in enumerate(order, 1) if kind in kinds), None)
        if at is not None:
            out[at] += chance
    return out


def _within(budget: int, first_hits: Sequence[Array]) -> float:
    total = np.array([1.0])
    for first in first_hits:
        total = np.convolve(total, first)
    return float(total[: budget + 1].sum())


def deterministic_plans(table: AvailabilityTable, budget: int) -> Array:
    """Success of every deterministic plan that differs on some row: bool-valued float64 [plans, n].

    A plan knows hop, kinds tried at the hop and budget left, so its order at a later hop may depend on what the
    earlier ones cost. All hops have the same kinds, so a plan of the rest depends on (hops left, budget left).
    """
    plans = _plans(table.hops, budget, table.num_kinds)
    outcomes = {tuple(_play(plan, row, budget) for row in table.rows) for plan in plans}
    return np.array(sorted(outcomes, reverse=True), np.float64)


Plan = tuple[tuple[int, ...], tuple[object, ...]]
"""The order at this hop, and the plan of the rest for each number of queries spent here."""


def _plans(hops: int, budget: int, num_kinds: int) -> list[Plan | None]:
    if hops == 0:
        return [None]
    longest = min(num_kinds, budget - (hops - 1))
    if longest < 1:
        return [None]
    out: list[Plan | None] = []
    for order in itertools.permutations(range(num_kinds), longest):
        rests = [_plans(hops - 1, budget - spent, num_kinds) for spent in range(1, longest + 1)]
        out += [(order, rest) for rest in itertools.product(*rests)]
    return out


def _play(plan: Plan | None, row: Sequence[frozenset[int]], budget: int) -> float:
    for kinds in row:
        if plan is None:
            return 0.0
        order, rests = plan
        at = next((j for j, kind in enumerate(order) if kind in kinds), None)
        if at is None:
            return 0.0
        plan = rests[at]  # type: ignore[assignment]
    return 1.0


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
        (index not in ("bm25s", "lucene"), "retrieval must be lexical (bm25s or lucene)"),
        (config is not None and spec.max_turns < config.budget + 1, "max_turns must be at least budget + 1"),
        (config is not None and spec.search_budget != config.budget, "the search budget must be the world's"),
    )
    for holds, reason in reasons:
        if holds:
            raise BerrypickError(f"no exact frontier here: {reason}; change that setting")


def frontier(
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
    success = deterministic_plans(table, budget)
    mixture = np.full(len(success), 1 / len(success))
    points = []
    for weight in np.linspace(0, 1, num_points):
        mixture, gap = _pairwise_frank_wolfe(success, table.weights, k, float(weight), mixture, tolerance, max_steps)
        p = mixture @ success
        kept = {int(i): float(mixture[i]) for i in np.flatnonzero(mixture > 1e-9)}
        points.append(FrontierPoint(pass_at_1(table, p), pass_at_k(table, p, k), gap, kept))
    points.sort(key=lambda point: (point.pass_at_1, point.pass_at_k))
    return Frontier(k, tuple(points))


def _pairwise_frank_wolfe(
    success: Array, weights: Array, k: int, balance: float, mixture: Array, tolerance: float, max_steps: int
) -> tuple[Array, float]:
    mixture = mixture.copy()
    gap = np.inf
    for _ in range(max_steps):
        p = mixture @ success
        gradient = success @ (weights * (balance + (1 - balance) * k * (1 - p) ** (k - 1)))
        best = int(gradient.argmax())
        gap = float(gradient[best] - mixture @ gradient)
        if gap <= tolerance:
            break
        used = np.flatnonzero(mixture > 0)
        worst = int(used[gradient[used].argmin()])
        step = _line_search(p, success[best] - success[worst], weights, k, balance, float(mixture[worst]))
        mixture[best] += step
        mixture[worst] = mixture[worst] - step if step < mixture[worst] else 0.0
    return mixture / mixture.sum(), gap


def _line_search(p: Array, direction: Array, weights: Array, k: int, balance: float, longest: float) -> float:
    """Bisection on the derivative of the concave objective along a direction."""

    def slope(step: float) -> float:
        q = np.clip(p + step * direction, 0.0, 1.0)
        return float(weights @ (direction * (balance + (1 - balance) * k * (1 - q) ** (k - 1))))

    if slope(longest) >= 0:
        return longest
    low, high = 0.0, longest
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low
