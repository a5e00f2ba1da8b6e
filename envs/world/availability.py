"""Exact success probabilities of policies that try record kinds in some order. Nothing is sampled; all is float64.

Notation: S_h is the set of kinds whose record states the fact of hop h. A policy tries one kind after another, moves to
the next hop at its first hit, and may make B queries in all.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...retrieval_index.errors import BerrypickError
from ..questions import Question
from .config import WorldConfig
from .facts import WorldFacts

__all__ = [
    "Array",
    "AvailabilityTable",
    "Orders",
    "best_order",
    "ceiling",
    "cue_tables",
    "order_success",
    "pass_at_1",
    "pass_at_k",
    "population_table",
    "population_tables",
    "question_table",
    "replacement_success",
    "uniform_orders",
]

Orders = Mapping[tuple[int, ...], float]
"""Order in which kinds are tried -> its probability; one order is drawn independently at each hop."""

Array = NDArray[np.float64]

_FAILS = "no exact values here: no query format may fail (format_failures); change that setting"


@dataclass(frozen=True, slots=True)
class AvailabilityTable:
    """A distribution of kind sets: `rows` are [n][hop] -> S_h, `weights` are float64 [n] and sum to 1."""

    rows: tuple[tuple[frozenset[int], ...], ...]
    weights: Array
    num_kinds: int

    @property
    def hops(self) -> int:
        """Number of facts in a chain."""
        return len(self.rows[0])


def population_table(availability: Sequence[float], hops: int) -> AvailabilityTable:
    """The distribution that the generator draws from: kinds and hops are independent."""
    kinds = range(len(availability))
    subsets = [frozenset(s) for size in range(len(availability) + 1) for s in itertools.combinations(kinds, size)]
    chance = {s: float(np.prod([a if k in s else 1 - a for k, a in enumerate(availability)])) for s in subsets}
    rows = tuple(itertools.product(subsets, repeat=hops))
    weights = np.array([np.prod([chance[s] for s in row]) for row in rows])
    return AvailabilityTable(rows, weights, len(availability))


def population_tables(config: WorldConfig) -> list[tuple[float, AvailabilityTable]]:
    """(share, table) for each cue value: the distribution of all questions that a World's generator can draw.

    Raises:
        BerrypickError: a query format fails, so that what is found depends on more than which records exist.
    """
    if config.has_failures:
        raise BerrypickError(_FAILS)
    share = 1 / len(config.cues)
    return [(share, population_table(config.question_availability(cue), config.hops)) for cue in config.cues]


def question_table(questions: Sequence[Question]) -> AvailabilityTable:
    """The empirical distribution of a set of World questions; equal rows are merged.

    Raises:
        BerrypickError: there are no questions, or they are not of a World, or of one in which a query format fails.
    """
    if not questions:
        raise BerrypickError("a frontier needs at least one question")
    worlds = [WorldFacts.required(question, "a frontier") for question in questions]
    if any(any(world.format_failures) for world in worlds):
        raise BerrypickError(_FAILS)
    counts = Counter(world.present for world in worlds)
    rows = tuple(sorted(counts, key=lambda row: [sorted(s) for s in row]))
    weights = np.array([counts[row] for row in rows], np.float64) / len(questions)
    return AvailabilityTable(rows, weights, len(worlds[0].kinds))


def cue_tables(questions: Sequence[Question]) -> list[tuple[float, AvailabilityTable]]:
    """(share of the questions, their table) for each cue value; a policy sees the cue and may adapt its plans to it."""
    by_cue: dict[int, list[Question]] = {}
    for question in questions:
        cue = WorldFacts.required(question, "a frontier").cue
        by_cue.setdefault(-1 if cue is None else cue, []).append(question)
    return [(len(by_cue[cue]) / len(questions), question_table(by_cue[cue])) for cue in sorted(by_cue)]


def uniform_orders(num_kinds: int) -> dict[tuple[int, ...], float]:
    """All orders with equal probability."""
    orders = list(itertools.permutations(range(num_kinds)))
    return dict.fromkeys(orders, 1 / len(orders))


def best_order(availability: Sequence[float]) -> dict[tuple[int, ...], float]:
    """Kinds by decreasing availability, the best single order for pass@1."""
    return {tuple(sorted(range(len(availability)), key=lambda k: (-availability[k], k))): 1.0}


def order_success(table: AvailabilityTable, orders: Orders, budget: int) -> Array:
    """p(S_1..S_H), the probability that an episode succeeds on each row: float64 [n].

    At hop h the first hit comes at query j with probability f_S(j) = sum_order D(order) 1[order_j in S, none before].
    The numbers of queries add up over hops, so their distributions are convolved.
    """
    first = {kinds: _first_hit(kinds, orders, table.num_kinds) for row in table.rows for kinds in row}
    return np.array([_within(budget, [first[kinds] for kinds in row]) for row in table.rows])


def replacement_success(table: AvailabilityTable, probabilities: Sequence[float], budget: int) -> Array:
    """The same if kinds are drawn with replacement: f_S(j) = r (1 - r)^(j-1), where r is the probability of S."""
    hits = {
        kinds: np.array([0.0, *(r * (1 - r) ** j for j in range(budget))])
        for row in table.rows
        for kinds in row
        if (r := float(sum(probabilities[k] for k in kinds))) is not None
    }
    return np.array([_within(budget, [hits[kinds] for kinds in row]) for row in table.rows])


def pass_at_1(table: AvailabilityTable, success: Array) -> float:
    """Mean success over questions."""
    return float(table.weights @ success)


def pass_at_k(table: AvailabilityTable, success: Array, k: int) -> float:
    """Probability that at least one of k independent episodes of a question succeeds, averaged over questions."""
    return float(table.weights @ (1 - (1 - success) ** k))


def ceiling(table: AvailabilityTable) -> float:
    """Share of questions that have a complete evidence path: the limit of pass@k for large k if budget >= hops."""
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
