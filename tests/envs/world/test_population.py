"""F, the population's frontier, against enumeration of all plans by code of its own and a solver of its own."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from berrypick.envs.world.config import WorldConfig
from berrypick.envs.world.population import PopulationFrontier, PopulationPoint, population_frontier
from berrypick.envs.world.world import build_world
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities
from berrypick.policies.tabular.values import RowTable, exact_values
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.planted import best_pass_at_1

K = 8


@pytest.mark.parametrize(
    ("availability", "hops", "budget", "cue"),
    [
        ((0.6, 0.5, 0.4), 2, 3, 0.0), ((0.8, 0.4, 0.2), 2, 3, 0.0), ((0.9, 0.35), 2, 2, 0.0), ((0.7, 0.3), 3, 4, 0.0),
        ((0.6, 0.3), 2, 3, 0.5), ((0.3, 0.8, 0.55, 0.2), 1, 2, 0.0),
    ],
)  # fmt: skip
def test_f_equals_enumeration_of_all_plans(availability, hops, budget, cue):
    config = WorldConfig(availability=availability, hops=hops, budget=budget, cue=cue)
    front = population_frontier(config, K)
    cues = range(len(availability)) if cue else [None]
    parts = [(1 / len(cues), config.question_availability(c), hops) for c in cues]
    low, high = front.best_order.pass_at_k, front.widest.pass_at_k
    for share in (-0.1, 0.15, 0.5, 0.85, 0.99):
        y = low + share * (high - low)
        exact = best_pass_at_1(parts, budget, len(availability), y)
        assert front.best_pass_at_1(y) == pytest.approx(exact, abs=1.5e-5)
        assert front.best_pass_at_1(y) <= exact + 1e-7
    assert math.isnan(front.best_pass_at_1(high + 1e-4))
    # a tenth of the tolerance in F, along the steeper of both axes
    assert all(0 <= point.gap <= max(1e-13, 1e-6 * min(point.balance, 1 - point.balance)) for point in front.points)


PUBLISHED = {
    "priced": ((0.514, 0.769), (0.526, 0.768), (0.543, 0.765), (0.561, 0.760), (0.571, 0.752), (0.577, 0.743),
               (0.590, 0.700), (0.600, 0.600)),
    "steep": ((0.588, 0.815), (0.729, 0.813), (0.744, 0.809), (0.755, 0.800), (0.765, 0.779), (0.768, 0.768)),
    "free": ((0.500, 0.760),),
    "slack": ((0.766, 0.766),),
}  # fmt: skip


@pytest.mark.parametrize("preset", PUBLISHED)
def test_presets_have_the_points_of_the_specification(preset):
    front = population_frontier(WorldConfig.from_preset(preset), K)
    for one, many in PUBLISHED[preset]:
        assert front.best_pass_at_k(one - 5e-4) >= many - 6e-4
        assert front.best_pass_at_k(min(one + 5e-4, front.best_order.pass_at_1)) <= many + 6e-4
    assert 0 <= front.error <= 1e-5


def test_f_falls_and_is_flat_below_the_best_orders_own_pass_at_k():
    front = population_frontier(WorldConfig.from_preset("priced"), K)
    grid = np.linspace(0.1, front.widest.pass_at_k, 200)
    values = [front.best_pass_at_1(y) for y in grid]
    assert all(later <= earlier for earlier, later in itertools.pairwise(values))
    assert front.best_pass_at_1(0.2) == front.best_pass_at_1(0.6) == pytest.approx(0.6, abs=1e-6)
    again = PopulationFrontier.from_rows(K, front.as_rows())
    assert again.points == front.points and again.error == pytest.approx(front.error)
    assert PopulationFrontier.from_rows(K, front.as_rows()[:1]).error == 0.0


def test_a_world_of_several_answers_has_no_frontier():
    with pytest.raises(BerrypickError, match="num_answers=1"):
        population_frontier(WorldConfig(num_answers=3, budget=4), K)


@pytest.mark.parametrize("cue", [0.0, 0.8])
def test_population_values_of_a_table_are_the_limit_of_many_questions(cue):
    """Near the value on 4,000 generated questions."""
    config = WorldConfig.from_preset("priced", cue=cue, num_train=4_000, num_validation=0, num_test=0, seed=4)
    world = KindWorld.of(build_world(config).questions("train"))
    rng = np.random.default_rng(0)
    logits = rng.normal(size=world.table_shape)
    chances = kind_probabilities(logits)
    exact, success = exact_values(RowTable.population(config), chances, 3)
    sampled, _ = exact_values(RowTable.of(world), chances, 3)
    assert exact["pass@1"] == pytest.approx(sampled["pass@1"], abs=0.025)
    assert exact["pass@8"] == pytest.approx(sampled["pass@8"], abs=0.025)
    assert exact["breadth"] == pytest.approx(sampled["breadth"], abs=0.025)
    assert RowTable.population(config).weights.sum() == pytest.approx(1)
    assert exact["pass@1"] == pytest.approx(float(RowTable.population(config).weights @ success), abs=1e-12)


def front_of(*rows, error=0.0):
    return PopulationFrontier(K, tuple(PopulationPoint(*row) for row in rows), error)


def test_a_population_s_frontier_by_hand():
    front = front_of((0.5, 0.5, 0.8, 0.0), (0.8, 0.6, 0.6, 0.0))
    assert (front.widest.pass_at_k, front.best_order.pass_at_1) == (0.8, 0.6)
    assert [front.best_pass_at_1(y) for y in (0.1, 0.6, 0.7, 0.8)] == pytest.approx([0.6, 0.6, 0.55, 0.5])
    assert [front.best_pass_at_k(x) for x in (0.1, 0.5, 0.575, 0.6)] == pytest.approx([0.8, 0.8, 0.65, 0.6])
    assert front.best_pass_at_1(0.8 + 5e-8) == 0.5 and math.isnan(front.best_pass_at_1(0.8 + 2e-7))
    assert front.best_pass_at_k(0.6 + 5e-8) == 0.6 and math.isnan(front.best_pass_at_k(0.6 + 2e-7))


def test_the_lines_of_two_points_and_the_error_between_them_by_hand():
    # x = 1.3 - y and x = .75 - y / 4 cross at y = 11 / 15, x = 17 / 30; the chord there is at 16 / 30
    first, second = PopulationPoint(0.5, 0.5, 0.8, 0.0), PopulationPoint(0.8, 0.6, 0.6, 0.0)
    assert [first.line(0.8), first.line(0.3), second.line(0.6), second.line(0.2)] == pytest.approx([0.5, 1, 0.6, 0.7])
    assert PopulationPoint(0.5, 0.5, 0.8, 0.1).line(0.8) == pytest.approx(0.7)  # the gap, in units of pass@1

    def error(*rows):
        return PopulationFrontier.from_rows(K, rows).error

    rows = [(0.5, 0.5, 0.8, 0.0), (0.8, 0.6, 0.6, 0.0)]
    assert error(*rows) == pytest.approx(1 / 30)
    # a gap moves the first line by .02 / .5: 1.34 - y = .75 - y / 4 at y = .59 / .75, x = .553333; chord .506667
    assert error((0.5, 0.5, 0.8, 0.02), rows[1]) == pytest.approx(0.75 - 0.59 / 3 - (0.6 - (0.59 / 0.75 - 0.6) / 2))
    # lines of one slope: what their gaps leave open at the second point
    assert error((0.5, 0.5, 0.8, 0.005), (0.5, 0.6, 0.6, 0.02)) == pytest.approx(0.04)
    assert error((0.5, 0.5, 0.8, 0.1), (0.6, 0.5, 0.8, 0.25)) == 0.0, "one point"
    # lines below the chord leave nothing open
    assert error((0.5, 0.5, 0.8, 0.0), (0.5, 0.8, 0.6, 0.0)) == 0.0
    assert error((0.5, 0.5, 0.8, 0.0), (0.8, 0.9, 0.6, 0.0)) == 0.0
    # the largest of three points
    assert error(*rows, (0.9, 0.61, 0.5, 0.0)) == pytest.approx(max(1 / 30, error(rows[1], (0.9, 0.61, 0.5, 0.0))))
    # lines that cross outside of the chord bound it at its end
    assert error((0.5, 0.5, 0.8, 0.0), (0.8, 0.7, 0.6, 0.0)) == pytest.approx(0.0, abs=1e-12)


def test_a_frontier_to_a_larger_tolerance_has_fewer_points():
    config = WorldConfig(availability=(0.9, 0.35), hops=2, budget=2)
    fine, coarse = population_frontier(config, K), population_frontier(config, K, tolerance=1e-2)
    assert len(coarse.points) < len(fine.points) and fine.error <= 1e-5 and coarse.error <= 1e-2
    assert fine.points[0].balance == 1e-5 and fine.points[-1].balance == 1 - 1e-6
    pairs = list(itertools.pairwise(fine.points))
    assert all(a.balance < b.balance and a.pass_at_1 < b.pass_at_1 and a.pass_at_k > b.pass_at_k for a, b in pairs)
