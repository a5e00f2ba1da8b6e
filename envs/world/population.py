"""F(y): the most pass@1 that any policy with pass@k of at least y can have, over all questions a World can generate.

A policy sees a question's cue, where there is one, and nothing else of it. F is solved to a certified error at every y:
each solved weighting of pass@1 and pass@k gives a point that some policy attains and a line that none can cross, and
weightings are added until points and lines leave less than the tolerance between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...retrieval_index.errors import BerrypickError
from .availability import Array, AvailabilityTable, pass_at_1, pass_at_k, population_tables
from .config import WorldConfig
from .mixtures import best_mixture
from .plans import ListedPlans, SearchedPlans, plans_of

__all__ = ["PopulationFrontier", "PopulationPoint", "population_frontier"]

LEAST_BALANCE, MOST_BALANCE = 1e-5, 1 - 1e-6
"""The extreme weightings: 0 and 1 themselves would leave pass@1 or pass@k open where several policies tie."""

ROUNDING = 1e-7
"""A pass@k that exceeds the largest one by so little is taken for it."""


@dataclass(frozen=True, slots=True)
class PopulationPoint:
    """The policy that maximises balance * pass@1 + (1 - balance) * pass@k; none is better by more than `gap`."""

    balance: float
    pass_at_1: float
    pass_at_k: float
    gap: float

    def line(self, y: float) -> float:
        """No policy with pass@k = y has more pass@1 than this."""
        value = self.balance * self.pass_at_1 + (1 - self.balance) * self.pass_at_k
        return (value + self.gap - (1 - self.balance) * y) / self.balance


@dataclass(frozen=True, slots=True)
class PopulationFrontier:
    """The frontier of a World's population.

    Attributes:
        k: of pass@k.
        points: in order of rising balance: pass@1 rises, pass@k falls.
        error: the most by which F can exceed what `best_pass_at_1` returns.
    """

    k: int
    points: tuple[PopulationPoint, ...]
    error: float

    @property
    def best_order(self) -> PopulationPoint:
        """The point of most pass@1."""
        return self.points[-1]

    @property
    def widest(self) -> PopulationPoint:
        """The point of most pass@k."""
        return self.points[0]

    def best_pass_at_1(self, at_least: float) -> float:
        """F: the most pass@1 of a policy with pass@k >= `at_least`; NaN if no policy has that pass@k.

        Between two points it is that of a mixture of both, which has the pass@k asked for or more.
        """
        if at_least > self.widest.pass_at_k + ROUNDING:
            return math.nan
        ys = [point.pass_at_k for point in reversed(self.points)]
        xs = [point.pass_at_1 for point in reversed(self.points)]
        return float(np.interp(at_least, ys, xs))

    def best_pass_at_k(self, at_least: float) -> float:
        """The most pass@k of a policy with pass@1 >= `at_least`; NaN if no policy has that pass@1."""
        if at_least > self.best_order.pass_at_1 + ROUNDING:
            return math.nan
        xs, ys = ([getattr(point, name) for point in self.points] for name in ("pass_at_1", "pass_at_k"))
        return float(np.interp(at_least, xs, ys))

    def as_rows(self) -> list[list[float]]:
        """JSON-able: [balance, pass@1, pass@k, gap] of each point."""
        return [[point.balance, point.pass_at_1, point.pass_at_k, point.gap] for point in self.points]

    @classmethod
    def from_rows(cls, k: int, rows: Sequence[Sequence[float]]) -> PopulationFrontier:
        """Inverse of `as_rows`."""
        points = tuple(PopulationPoint(*row) for row in rows)
        return cls(k, points, max(map(_error, points, points[1:]), default=0.0))


def population_frontier(config: WorldConfig, k: int, *, tolerance: float = 1e-5) -> PopulationFrontier:
    """The frontier of all questions that a World's generator can draw.

    Args:
        config: of the World; the numbers of questions and the seed do not matter.
        k: of pass@k.
        tolerance: the largest error of F.

    Raises:
        BerrypickError: the World has several answers, formats that fail, or too many kinds, hops and queries; or
            rounding kept the error above the tolerance.
    """
    if config.num_answers != 1:
        raise BerrypickError("no exact frontier here: the world must have one answer (num_answers=1)")
    solver = _Solver(config, k, tolerance)
    low, high = solver.solve(MOST_BALANCE), solver.solve(LEAST_BALANCE)
    points = [high, *solver.between(high, low), low]
    front = PopulationFrontier(k, tuple(replace(point.point) for point in _monotone(points)), 0.0)
    front = replace(front, error=max(map(_error, front.points, front.points[1:]), default=0.0))
    if front.error > 2 * tolerance:
        raise BerrypickError(
            f"the frontier of {len(config.kinds)} kinds, {config.hops} hops, budget {config.budget} is certain to "
            f"{front.error:.1e} only; ask for a tolerance of {front.error:.0e}"
        )
    return front


def _error(first: PopulationPoint, second: PopulationPoint) -> float:
    """The most by which F can exceed the chord of two points: at the corner of the lines that bound it."""
    y0, y1 = first.pass_at_k, second.pass_at_k
    slope0, slope1 = ((1 - point.balance) / point.balance for point in (first, second))
    if y0 - y1 <= 0 or slope0 == slope1:
        return max(0.0, min(first.line(y1), second.line(y1)) - second.pass_at_1) if y0 > y1 else 0.0
    corner = (first.line(0.0) - second.line(0.0)) / (slope0 - slope1)
    corner = min(max(corner, y1), y0)
    share = (corner - y1) / (y0 - y1)
    chord = share * first.pass_at_1 + (1 - share) * second.pass_at_1
    return max(0.0, min(first.line(corner), second.line(corner)) - chord)


@dataclass(frozen=True, slots=True)
class _Solved:
    """A point with its mixtures, one for each cue value, to start the next solution from."""

    point: PopulationPoint
    mixtures: tuple[Array, ...]


def _monotone(points: Sequence[_Solved]) -> list[_Solved]:
    """Points of one policy solved twice may differ by rounding: keeps those whose pass@1 rises and pass@k falls."""
    out = [points[0]]
    for solved in points[1:]:
        if solved.point.pass_at_1 > out[-1].point.pass_at_1 and solved.point.pass_at_k < out[-1].point.pass_at_k:
            out.append(solved)
    return out


class _Solver:
    """Solves weightings of one World."""

    def __init__(self, config: WorldConfig, k: int, tolerance: float) -> None:
        self._k, self._tolerance = k, tolerance
        tables = [(share, _solvable(table)) for share, table in population_tables(config)]
        self._parts: list[tuple[float, AvailabilityTable, ListedPlans | SearchedPlans]] = [
            (share, table, plans_of(table, config.budget)) for share, table in tables
        ]
        self._single = [np.eye(len(plans.success))[plans.best(table.weights)] for _, table, plans in self._parts]

    def solve(self, balance: float, near: _Solved | None = None) -> _Solved:
        """The best policy at a weighting; `near` is a solution of a similar one."""
        starts = near.mixtures if near else self._single
        tolerance = max(1e-13, 0.1 * self._tolerance * min(balance, 1 - balance))
        one = many = gaps = 0.0
        mixtures = []
        for (share, table, plans), start in zip(self._parts, starts):
            mixture, gap = best_mixture(plans, table.weights, self._k, balance, start, tolerance)
            p = mixture @ plans.success
            one += share * pass_at_1(table, p)
            many += share * pass_at_k(table, p, self._k)
            gaps += share * gap
            mixtures.append(mixture)
        return _Solved(PopulationPoint(balance, one, many, gaps), tuple(mixtures))

    def between(self, first: _Solved, second: _Solved) -> list[_Solved]:
        """The points to add between two, in order, until F is certain to the tolerance there."""
        if _error(first.point, second.point) <= self._tolerance:
            return []
        rise = second.point.pass_at_1 - first.point.pass_at_1
        fall = first.point.pass_at_k - second.point.pass_at_k
        balance = fall / (rise + fall)  # at which both points are equally good: a better one lies between them
        if not first.point.balance < balance < second.point.balance:
            return []
        middle = self.solve(balance, second)
        return [*self.between(first, middle), middle, *self.between(middle, second)]


def _solvable(table: AvailabilityTable) -> AvailabilityTable:
    """Without the rows that no policy solves; the weights of the others stay."""
    kept = [i for i, row in enumerate(table.rows) if all(row)]
    return AvailabilityTable(tuple(table.rows[i] for i in kept), table.weights[kept], table.num_kinds)
