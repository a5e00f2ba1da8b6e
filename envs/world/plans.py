"""Deterministic plans for a World: all of them where they are few, and the best one for any weighting of questions.

A plan knows hop, kinds tried at the hop and budget left, so its order at a later hop may depend on what the earlier
ones cost.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...retrieval_index.errors import BerrypickError
from .availability import Array, AvailabilityTable

__all__ = ["ListedPlans", "SearchedPlans", "deterministic_plans", "num_plans"]

MAX_STATES = 10_000
"""Most decision states that are searched for a best plan."""


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


def num_plans(num_kinds: int, hops: int, budget: int) -> int:
    """How many plans `deterministic_plans` walks through before it drops equal ones."""
    if hops == 0:
        return 1
    longest = min(num_kinds, budget - (hops - 1))
    if longest < 1:
        return 1
    rests = math.prod(num_plans(num_kinds, hops - 1, budget - spent) for spent in range(1, longest + 1))
    return math.perm(num_kinds, longest) * rests


class ListedPlans:
    """All plans as a matrix of success, float64 [plans, n]."""

    complete = True

    def __init__(self, table: AvailabilityTable, budget: int) -> None:
        self.success = deterministic_plans(table, budget)

    def best(self, gains: Array) -> int:
        """The row of the plan with the largest sum of gains, float64 [n], over the questions it solves."""
        return int((self.success @ gains).argmax())


class SearchedPlans:
    """Plans too many to list: the best one is found by dynamic programming and kept as a further row.

    A decision state is what the policy has seen: for each hop behind it the kinds missed and the kind that hit, and the
    kinds missed at this hop. The states and the questions that reach their ends depend on no gains: built once.
    """

    complete = False

    def __init__(self, table: AvailabilityTable, budget: int) -> None:
        self._has: NDArray[np.bool_] = np.array(
            [[[kind in kinds for kind in range(table.num_kinds)] for kinds in row] for row in table.rows]
        )
        self._budget = budget
        self._states: list[list[tuple[int, int]]] = []  # children (after a hit, after a miss) of each choice of kind
        self._known: dict[tuple[object, frozenset[int]], int] = {}
        self._ends: list[NDArray[np.int64]] = []
        self._root = self._build(0, (), frozenset(), np.arange(len(self._has)), budget)
        self._end_rows = np.concatenate(self._ends) if self._ends else np.empty(0, np.int64)
        self._end_starts = np.cumsum([0, *(len(rows) for rows in self._ends)])
        self._index: dict[bytes, int] = {}
        self.success: Array = np.empty((0, len(table.rows)))
        self.best(table.weights)

    def _build(
        self, hop: int, history: tuple[object, ...], tried: frozenset[int], rows: NDArray[np.int64], left: int
    ) -> int:
        """The reference of a state: its number, -1 where nothing can be won, -2 - n for the n-th end."""
        hops, kinds = self._has.shape[1:]
        if not len(rows) or left < hops - hop or len(tried) == kinds:
            return -1
        if hop == hops:
            self._ends.append(rows)
            return -1 - len(self._ends)
        key = history, tried
        if key in self._known:
            return self._known[key]
        if len(self._known) > MAX_STATES:
            raise BerrypickError(
                f"no frontier of {kinds} kinds, {hops} hops and budget {self._budget}: too many plans; take fewer"
            )
        choices = []
        for kind in sorted(set(range(kinds)) - tried):
            hit = self._has[rows, hop, kind]
            found = self._build(hop + 1, (*history, (tried, kind)), frozenset(), rows[hit], left - 1)
            choices.append((found, self._build(hop, history, tried | {kind}, rows[~hit], left - 1)))
        self._states.append(choices)
        self._known[key] = len(self._states) - 1
        return self._known[key]

    def best(self, gains: Array) -> int:
        """The row of the plan with the largest sum of gains, float64 [n], over the questions it solves."""
        totals = np.concatenate([[0.0], np.cumsum(gains[self._end_rows])])
        ends = (totals[self._end_starts[1:]] - totals[self._end_starts[:-1]]).tolist()
        values: list[float] = []
        picked: list[tuple[int, int]] = []

        def worth(reference: int) -> float:
            return values[reference] if reference >= 0 else 0.0 if reference == -1 else float(ends[-2 - reference])

        for choices in self._states:  # children stand before their parents
            value, choice = max((worth(found) + worth(missed), (found, missed)) for found, missed in choices)
            values.append(value)
            picked.append(choice)
        plan = np.zeros(len(self._has))
        open_ = [self._root]
        while open_:
            reference = open_.pop()
            if reference >= 0:
                open_ += picked[reference]
            elif reference < -1:
                plan[self._ends[-2 - reference]] = 1.0
        key = plan.tobytes()
        if key not in self._index:
            self._index[key] = len(self.success)
            self.success = np.vstack([self.success, plan])
        return self._index[key]
