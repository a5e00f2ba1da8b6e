"""Deterministic plans for a World: a list of all plans if they are few, and the best plan for weighted questions.

A plan sees the hop, the kinds tried at this hop and the remaining budget. Its order at a later hop can therefore depend
on how many queries the earlier hops needed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...retrieval_index.errors import BerrypickError
from .availability import Array, AvailabilityTable

__all__ = ["ListedPlans", "SearchedPlans", "deterministic_plans", "num_plans", "plans_of"]

MAX_STATES = 10_000
"""Maximum number of decision states in the search for a best plan."""


def deterministic_plans(table: AvailabilityTable, budget: int) -> Array:
    """Success of every deterministic plan on every row: float64 [plans, n] of zeros and ones, without duplicate rows.

    All hops have the same kinds, so the plans for the remaining hops depend only on (hops left, budget left).
    """
    plans = _plans(table.hops, budget, table.num_kinds)
    outcomes = {tuple(_play(plan, row, budget) for row in table.rows) for plan in plans}
    return np.array(sorted(outcomes, reverse=True), np.float64)


Plan = tuple[tuple[int, ...], tuple[object, ...]]
"""The order at this hop, and for each number of queries used here, the plan for the remaining hops."""


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
    """Number of plans that `deterministic_plans` generates, duplicates included."""
    if hops == 0:
        return 1
    longest = min(num_kinds, budget - (hops - 1))
    if longest < 1:
        return 1
    rests = math.prod(num_plans(num_kinds, hops - 1, budget - spent) for spent in range(1, longest + 1))
    return math.perm(num_kinds, longest) * rests


MAX_LISTED_PLANS = 1000
"""Up to so many plans all are listed; above, the best plan is searched for in each step."""


def plans_of(table: AvailabilityTable, budget: int) -> ListedPlans | SearchedPlans:
    """All plans if they are few, else the search for them.

    Raises:
        BerrypickError: there are too many decision states to search.
    """
    listed = num_plans(table.num_kinds, table.hops, budget) <= MAX_LISTED_PLANS
    return ListedPlans(table, budget) if listed else SearchedPlans(table, budget)


class ListedPlans:
    """All plans, as a matrix of their success: float64 [plans, n]."""

    def __init__(self, table: AvailabilityTable, budget: int) -> None:
        self.success = deterministic_plans(table, budget)

    def best(self, gains: Array) -> int:
        """The row of the plan with the largest sum of gains, float64 [n], over the questions it solves."""
        return int((self.success @ gains).argmax())


class SearchedPlans:
    """Plans that are too many to list. `best` finds the best plan by dynamic programming and adds it to `success`.

    A decision state is everything the policy has seen: for each finished hop the kinds that missed and the kind that
    hit, and the kinds that missed at this hop. It does not matter in which order kinds missed, so the states form a
    graph that is far smaller than the number of plans. The graph, and the questions that reach each of its ends, do not
    depend on the gains. They are built once and used by every call of `best`.

    A state is referred to by an int: its index in `_states`; -1 if it cannot succeed; -2 - n for the n-th end, a state
    that has found all facts.
    """

    def __init__(self, table: AvailabilityTable, budget: int) -> None:
        # [n, hop, kind], whether the kind states the fact
        self._has: NDArray[np.bool_] = np.array(
            [[[kind in kinds for kind in range(table.num_kinds)] for kinds in row] for row in table.rows]
        )
        self._budget = budget
        self._states: list[list[tuple[int, int]]] = []  # for each untried kind, the states after a hit and after a miss
        self._known: dict[tuple[object, frozenset[int]], int] = {}  # (finished hops, kinds missed here) -> state
        self._ends: list[NDArray[np.int64]] = []  # the questions (indices into n) that reach each end
        self._root = self._build(0, (), frozenset(), np.arange(len(self._has)), budget)
        # The questions of all ends in one array, so that one cumulative sum gives the gain of every end.
        self._end_rows = np.concatenate(self._ends) if self._ends else np.empty(0, np.int64)
        self._end_starts = np.cumsum([0, *(len(rows) for rows in self._ends)])
        self._index: dict[bytes, int] = {}
        self._room: Array = np.empty((64, len(table.rows)))  # grows twofold, so that adding a plan rarely copies all
        self.success: Array = self._room[:0]
        self.best(table.weights)

    def _build(
        self, hop: int, history: tuple[object, ...], tried: frozenset[int], rows: NDArray[np.int64], left: int
    ) -> int:
        """The state after `history` and `tried`, and all states below it; `rows` are the questions that reach it."""
        hops, kinds = self._has.shape[1:]
        if not len(rows) or left < hops - hop or len(tried) == kinds:
            return -1
        if hop == hops:
            self._ends.append(rows)
            return -1 - len(self._ends)
        key = history, tried
        if key in self._known:
            return self._known[key]
        choices = []
        for kind in sorted(set(range(kinds)) - tried):
            hit = self._has[rows, hop, kind]
            found = self._build(hop + 1, (*history, (tried, kind)), frozenset(), rows[hit], left - 1)
            choices.append((found, self._build(hop, history, tried | {kind}, rows[~hit], left - 1)))
        if len(self._states) == MAX_STATES:
            raise BerrypickError(
                f"no frontier of {kinds} kinds, {hops} hops, budget {self._budget}: too many plans; use fewer of them"
            )
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

        for choices in self._states:  # `_build` appends a state after its children, so their values are known here
            value, choice = max((worth(found) + worth(missed), (found, missed)) for found, missed in choices)
            values.append(value)
            picked.append(choice)
        plan = np.zeros(len(self._has))  # follow the picked choices and mark the questions whose end they reach
        open_ = [self._root]
        while open_:
            reference = open_.pop()
            if reference >= 0:
                open_ += picked[reference]
            elif reference < -1:
                plan[self._ends[-2 - reference]] = 1.0
        key = plan.tobytes()
        if key not in self._index:
            at = self._index[key] = len(self._index)
            if at == len(self._room):
                self._room = np.concatenate([self._room, np.empty_like(self._room)])
            self._room[at] = plan
            self.success = self._room[: at + 1]
        return self._index[key]
