"""The exact frontier against independent enumeration, closed forms and the published table (world.md, section 2)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from berrypick.envs.questions import EpisodeSpec
from berrypick.envs.world.frontier import (
    AvailabilityTable,
    Frontier,
    FrontierPoint,
    best_order,
    ceiling,
    check_supported,
    cue_tables,
    deterministic_plans,
    fitted_frontier,
    order_success,
    pass_at_1,
    pass_at_k,
    population_table,
    question_table,
    replacement_success,
    table_frontier,
    uniform_orders,
)
from berrypick.envs.world.mixtures import best_mixture
from berrypick.envs.world.plans import ListedPlans, SearchedPlans, num_plans, plans_of
from berrypick.envs.world.world import PRESETS, WorldConfig, build_world
from berrypick.retrieval_index.errors import BerrypickError
from hypothesis import given, settings
from hypothesis import strategies as st


def play(row, orders, budget):
    """1 if trying kinds in these orders, one a hop, finds every hop within the budget."""
    left = budget
    for present, order in zip(row, orders, strict=True):
        for kind in order:
            if left == 0:
                return 0.0
            left -= 1
            if kind in present:
                break
        else:
            return 0.0
    return 1.0


def brute_force(availability, hops, orders, budget, k):
    """pass@1 and pass@k by walking through every world and every tuple of orders."""
    kinds = range(len(availability))
    patterns = [frozenset(s) for n in range(len(availability) + 1) for s in itertools.combinations(kinds, n)]
    at_1 = at_k = 0.0
    for row in itertools.product(patterns, repeat=hops):
        weight = math.prod(availability[i] if i in s else 1 - availability[i] for s in row for i in kinds)
        p = sum(
            math.prod(orders[order] for order in picked) * play(row, picked, budget)
            for picked in itertools.product(orders, repeat=hops)
        )
        at_1 += weight * p
        at_k += weight * (1 - (1 - p) ** k)
    return at_1, at_k


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("d", [0.0, 0.3, 0.5, 1.0])
def test_one_hop_two_kinds_one_query_has_its_closed_form(d, k):
    a1, a2 = 0.7, 0.2
    table = population_table((a1, a2), 1)
    success = order_success(table, {(0, 1): d, (1, 0): 1 - d}, 1)
    assert pass_at_1(table, success) == pytest.approx(d * a1 + (1 - d) * a2)
    expected = a1 * a2 + a1 * (1 - a2) * (1 - (1 - d) ** k) + a2 * (1 - a1) * (1 - d**k)
    assert pass_at_k(table, success, k) == pytest.approx(expected)


def test_even_coin_over_two_even_kinds_has_pass_at_2_of_five_eighths():
    table = population_table((0.5, 0.5), 1)
    assert pass_at_k(table, order_success(table, {(0, 1): 0.5, (1, 0): 0.5}, 1), 2) == pytest.approx(0.625)


@settings(max_examples=20, deadline=None)
@given(
    weights=st.lists(st.floats(0.01, 1), min_size=6, max_size=6),
    k=st.integers(1, 20),
    availability=st.tuples(*[st.floats(0, 1)] * 3),
    extra=st.integers(0, 2),
)
def test_a_budget_for_everything_gives_the_ceiling_for_every_order_and_k(weights, k, availability, extra):
    table = population_table(availability, 2)
    orders = {o: w / sum(weights) for o, w in zip(itertools.permutations(range(3)), weights)}
    success = order_success(table, orders, 6 + extra)
    chain = math.prod([1 - math.prod(1 - a for a in availability)] * 2)
    assert ceiling(table) == pytest.approx(chain)
    assert pass_at_k(table, success, k) == pytest.approx(chain)


TABLE = {
    "slack": (0.766, 0.766, 0.766, 0.766),
    "free": (0.500, 0.500, 0.760, 0.766),
    "priced": (0.600, 0.503, 0.768, 0.774),
    "steep": (0.768, 0.479, 0.808, 0.817),
}


@pytest.mark.parametrize("preset", TABLE)
def test_presets_have_the_published_values_to_three_decimals(preset):
    best, uniform_1, uniform_8, top = TABLE[preset]
    availability, budget = PRESETS[preset]["availability"], PRESETS[preset]["budget"]
    table = population_table(availability, 2)
    single = order_success(table, best_order(availability), budget)
    uniform = order_success(table, uniform_orders(3), budget)
    assert round(pass_at_1(table, single), 3) == best
    assert all(round(pass_at_k(table, single, k), 3) == best for k in (1, 8, 64))
    assert round(pass_at_1(table, uniform), 3) == uniform_1
    assert round(pass_at_k(table, uniform, 8), 3) == uniform_8
    assert round(ceiling(table), 3) == top


@settings(max_examples=12, deadline=None)
@given(
    availability=st.lists(st.floats(0, 1), min_size=2, max_size=3),
    hops=st.integers(1, 2),
    budget=st.integers(1, 5),
    k=st.integers(1, 9),
    data=st.data(),
)
def test_values_equal_independent_enumeration(availability, hops, budget, k, data):
    all_orders = list(itertools.permutations(range(len(availability))))
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(all_orders), max_size=len(all_orders)))
    orders = {order: weight / sum(weights) for order, weight in zip(all_orders, weights)}
    table = population_table(availability, hops)
    success = order_success(table, orders, budget)
    at_1, at_k = brute_force(availability, hops, orders, budget, k)
    assert pass_at_1(table, success) == pytest.approx(at_1, abs=1e-12)
    assert pass_at_k(table, success, k) == pytest.approx(at_k, abs=1e-12)


def test_three_hops_and_four_kinds_equal_independent_enumeration():
    availability = (0.9, 0.2, 0.5, 0.4)
    orders = {(0, 1, 2, 3): 0.5, (3, 2, 0, 1): 0.3, (1, 0, 3, 2): 0.2}
    table = population_table(availability, 3)
    success = order_success(table, orders, 6)
    at_1, at_k = brute_force(availability, 3, orders, 6, 8)
    assert (pass_at_1(table, success), pass_at_k(table, success, 8)) == pytest.approx((at_1, at_k))


@pytest.mark.parametrize(("num_present", "num_kinds"), [(1, 3), (2, 3), (3, 5), (2, 6)])
def test_uniform_orders_have_the_hypergeometric_first_hit(num_present, num_kinds):
    table = AvailabilityTable(((frozenset(range(num_present)),),), np.array([1.0]), num_kinds)
    previous = 0.0
    for j in range(1, num_kinds + 1):
        now = float(order_success(table, uniform_orders(num_kinds), j)[0])
        expected = math.comb(num_kinds - j, num_present - 1) / math.comb(num_kinds, num_present)
        assert now - previous == pytest.approx(expected)
        previous = now


def test_kinds_drawn_with_replacement_hit_geometrically():
    table = AvailabilityTable(((frozenset([0, 2]),),), np.array([1.0]), 3)
    r = 0.5 + 0.2
    assert replacement_success(table, (0.5, 0.3, 0.2), 3)[0] == pytest.approx(r + r * (1 - r) + r * (1 - r) ** 2)


def test_three_kinds_two_hops_three_queries_have_54_distinct_plans():
    table = population_table((0.6, 0.5, 0.4), 2)
    plans = deterministic_plans(table, 3)
    assert len(plans) == 54
    orders = list(itertools.permutations(range(3)))
    independent = set()
    for first in orders:
        for second in itertools.product(orders, repeat=3):  # the order at hop 2 for each number of queries spent
            outcome = []
            for row in table.rows:
                spent = next((j for j, kind in enumerate(first, 1) if kind in row[0]), 9)
                outcome.append(play(row[1:], (second[spent - 1],), 3 - spent) if spent <= 3 else 0.0)
            independent.add(tuple(outcome))
    assert {tuple(plan) for plan in plans} == independent


def families(num_kinds, availability):
    """Reference curves: epsilon-mixtures of best and uniform order, and Plackett-Luce at several temperatures."""
    best, uniform = best_order(availability), uniform_orders(num_kinds)
    for epsilon in (0, 0.1, 0.3, 0.6, 1):
        yield {order: (1 - epsilon) * best.get(order, 0) + epsilon * p for order, p in uniform.items()}
    for temperature in (0.02, 0.1, 0.3, 1, 10):
        strength = np.exp(np.array(availability) / temperature)
        orders = {}
        for order in uniform:
            left, chance = list(range(num_kinds)), 1.0
            for kind in order:
                chance *= strength[kind] / sum(strength[i] for i in left)
                left.remove(kind)
            orders[order] = float(chance)
        yield orders


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("k", [2, 8])
def test_no_family_of_orders_beats_the_certified_frontier(preset, k):
    availability, budget = PRESETS[preset]["availability"], PRESETS[preset]["budget"]
    table = population_table(availability, 2)
    curve = table_frontier(table, budget, k, num_points=9)
    assert curve.max_gap <= 1e-5
    points = [(*_values(table, order_success(table, orders, budget), k),) for orders in families(3, availability)]
    points += [(*_values(table, plan, k),) for plan in deterministic_plans(table, budget)]
    for weight in np.linspace(0, 1, 9):
        attained = max(weight * point.pass_at_1 + (1 - weight) * point.pass_at_k for point in curve.points)
        assert all(weight * x + (1 - weight) * y <= attained + curve.max_gap + 1e-9 for x, y in points)


def _values(table, success, k):
    return pass_at_1(table, success), pass_at_k(table, success, k)


def test_frontier_points_are_what_their_mixtures_give():
    table = population_table((0.6, 0.5, 0.4), 2)
    plans = deterministic_plans(table, 3)
    for point in table_frontier(table, 3, 8, num_points=5).points:
        assert sum(point.mixture.values()) == pytest.approx(1, abs=1e-6)
        p = sum(chance * plans[index] for index, chance in point.mixture.items())
        assert (point.pass_at_1, point.pass_at_k) == pytest.approx(_values(table, p, 8), abs=1e-6)


def test_steep_has_a_mixed_plan_that_avoids_most_of_the_price():
    table = population_table(PRESETS["steep"]["availability"], 2)
    curve = table_frontier(table, 3, 8)
    assert curve.value(0.743) == pytest.approx(0.809, abs=5e-4)
    assert curve.value(0.0) == pytest.approx(max(point.pass_at_k for point in curve.points))
    assert curve.points[-1].pass_at_1 == pytest.approx(0.768, abs=5e-4)


def test_slack_and_one_sample_have_nothing_to_trade():
    slack = population_table((0.5, 0.5, 0.5), 2)
    assert table_frontier(slack, 6, 8, num_points=3).value(0.0) == pytest.approx(ceiling(slack), abs=1e-6)
    priced = population_table((0.6, 0.5, 0.4), 2)
    assert table_frontier(priced, 3, 1, num_points=3).value(0.0) == pytest.approx(0.6, abs=1e-6)


@pytest.mark.parametrize(
    ("availability", "hops", "budget"),
    [
        ((0.6, 0.5, 0.4), 2, 3), ((0.8, 0.4, 0.2), 2, 3), ((0.5, 0.5, 0.5), 2, 4), ((0.9, 0.1), 3, 4),
        ((0.3, 0.7, 0.2, 0.6), 2, 5), ((0.6, 0.5, 0.4), 3, 5), ((0.2, 0.2, 0.9), 1, 2), ((0.05, 0.95), 2, 2),
        ((0.4, 0.4, 0.5, 0.3), 1, 3), ((0.7, 0.6, 0.1), 4, 6),
    ],
)  # fmt: skip
def test_no_adaptive_probing_beats_the_best_order(availability, hops, budget):
    """Dynamic programming over (hop, kinds tried, budget); a query naming several kinds brings one, fixed blindly."""
    kinds = range(len(availability))
    subsets = [s for n in range(1, len(availability) + 1) for s in itertools.combinations(kinds, n)]
    memo = {}

    def value(hop, tried, left):
        if hop == hops:
            return 1.0
        if left == 0:
            return 0.0
        key = hop, tried, left
        if key not in memo:
            memo[key] = max(sum(after(hop, tried, left, kind) for kind in subset) / len(subset) for subset in subsets)
        return memo[key]

    def after(hop, tried, left, kind):
        if kind in tried:
            return value(hop, tried, left - 1)
        found, missed = value(hop + 1, frozenset(), left - 1), value(hop, tried | {kind}, left - 1)
        return availability[kind] * found + (1 - availability[kind]) * missed

    table = population_table(availability, hops)
    single = pass_at_1(table, order_success(table, best_order(availability), budget))
    assert value(0, frozenset(), budget) == pytest.approx(single)


def test_question_table_counts_the_availabilities_of_its_questions():
    world = build_world(WorldConfig(num_train=40, num_validation=0, num_test=0))
    questions = world.questions("train")
    table = question_table(questions)
    assert table.weights.sum() == pytest.approx(1)
    share = np.mean([all(question.metadata["world"]["present"]) for question in questions])
    assert ceiling(table) == pytest.approx(share)
    with pytest.raises(BerrypickError, match="at least one question"):
        question_table([])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"top_k": 2}, "top_k=1"),
        ({"num_answers": 2}, "one answer"),
        ({"max_turns": 3}, "max_turns"),
        ({"search_budget": 2}, "budget"),
    ],
)
def test_settings_without_exact_values_are_refused(changes, reason):
    rules = {"top_k": 1, "max_turns": 6, "search_budget": 3, "template": "bare"} | changes
    with pytest.raises(BerrypickError, match=reason):
        check_supported(EpisodeSpec(**rules), WorldConfig())
    with pytest.raises(BerrypickError, match="lexical"):
        check_supported(EpisodeSpec(top_k=1, max_turns=6, search_budget=3), WorldConfig(), "faiss")
    fitting = EpisodeSpec(top_k=1, max_turns=4, search_budget=3)
    check_supported(fitting, WorldConfig(), "lucene")
    with pytest.raises(BerrypickError, match="it is defined for berrypick/World-v0"):
        check_supported(fitting, None)
    with pytest.raises(BerrypickError, match="the world must have one answer"):
        check_supported(fitting, WorldConfig(num_answers=3))


@pytest.mark.parametrize(("preset", "budget"), [("priced", 3), ("steep", 4)])
def test_searched_plans_give_the_listed_frontier(preset, budget, monkeypatch):
    table = population_table(PRESETS[preset]["availability"], 2)
    listed = table_frontier(table, budget, 8, num_points=5)
    monkeypatch.setattr("berrypick.envs.world.plans.MAX_LISTED_PLANS", 0)
    searched = table_frontier(table, budget, 8, num_points=5)
    assert searched.max_gap <= 1e-5
    for weight, one, other in zip(np.linspace(0, 1, 5), listed.points, searched.points):
        values = [weight * point.pass_at_1 + (1 - weight) * point.pass_at_k for point in (one, other)]
        assert values[0] == pytest.approx(values[1], abs=2e-5)


def test_three_hops_are_certified_and_hold_the_best_order_and_the_uniform_point():
    availability, budget = (0.6, 0.5, 0.4), 5
    table = population_table(availability, 3)
    curve = table_frontier(table, budget, 8, num_points=3, tolerance=1e-4)
    assert curve.max_gap <= 1e-4
    best = pass_at_1(table, order_success(table, best_order(availability), budget))
    assert curve.points[-1].pass_at_1 == pytest.approx(best, abs=1e-4)
    uniform = order_success(table, uniform_orders(3), budget)
    assert curve.points[0].pass_at_k >= pass_at_k(table, uniform, 8) - 1e-4


def test_too_many_plans_are_refused_with_the_cure():
    world = build_world(WorldConfig(availability=(0.5,) * 6, hops=4, num_train=200, num_validation=0, num_test=0))
    with pytest.raises(BerrypickError, match="too many plans; use fewer of them"):
        fitted_frontier(world.questions("train"), 12, 8, num_points=2)


def test_a_cue_is_worth_one_mixture_for_each_of_its_values():
    world = build_world(WorldConfig(cue=0.8, num_train=600, num_validation=0, num_test=0))
    questions = world.questions("train")
    parts = cue_tables(questions)
    assert [table.num_kinds for _, table in parts] == [3, 3, 3]
    assert sum(share for share, _ in parts) == pytest.approx(1)
    curve = fitted_frontier(questions, 3, 8, num_points=5)
    by_cue = sum(share * table_frontier(table, 3, 8, num_points=5).points[-1].pass_at_1 for share, table in parts)
    blind = table_frontier(question_table(questions), 3, 8, num_points=5)
    assert curve.points[-1].pass_at_1 == pytest.approx(by_cue)
    first = table_frontier(parts[0][1], 3, 8, num_points=5)
    assert [point.mixture for point in curve.points] == [point.mixture for point in first.points]
    assert curve.points[-1].pass_at_1 > blind.points[-1].pass_at_1 + 0.1
    assert curve.points[0].pass_at_k >= blind.points[0].pass_at_k - 1e-6
    plain = build_world(WorldConfig(num_train=50)).questions("train")
    assert fitted_frontier(plain, 3, 8, num_points=3) == table_frontier(question_table(plain), 3, 8, num_points=3)


@pytest.mark.parametrize(
    ("kinds", "hops", "budget", "plans"),
    [
        (3, 0, 0, 1),
        (3, 1, 1, 3),  # one kind is tried
        (3, 1, 2, 6),
        (3, 1, 9, 6),
        (3, 2, 1, 1),  # no plan can succeed
        (3, 3, 1, 1),
        (3, 2, 2, 9),
        (3, 2, 3, 6 * 6 * 3),  # two kinds; then two more after a hit at once, one after a hit at the second
    ],
)
def test_plans_are_counted(kinds: int, hops: int, budget: int, plans: int) -> None:
    assert num_plans(kinds, hops, budget) == plans


@pytest.mark.parametrize("budget", [0, 1, 2])
def test_a_budget_below_the_number_of_hops_has_one_plan_that_fails(budget: int) -> None:
    found = deterministic_plans(population_table([0.5, 0.5], 3), budget)
    assert found.shape == (1, 64) and not found.any()


def test_the_states_of_a_search_are_counted_against_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    table = population_table([0.5, 0.5], 1)  # nothing tried, kind 0 tried, kind 1 tried
    monkeypatch.setattr("berrypick.envs.world.plans.MAX_STATES", 3)
    assert len(SearchedPlans(table, 2).success) == 1
    monkeypatch.setattr("berrypick.envs.world.plans.MAX_STATES", 2)
    with pytest.raises(BerrypickError, match="no frontier of 2 kinds, 1 hops, budget 2: too many plans"):
        SearchedPlans(table, 2)


def test_orders_of_equal_kinds_and_tables_of_the_same_questions_are_the_same():
    assert best_order((0.5, 0.7, 0.5)) == {(1, 0, 2): 1.0}
    questions = build_world(WorldConfig(cue=0.8, num_train=60, num_validation=0, num_test=0)).questions("train")
    table, turned = question_table(questions), question_table(questions[::-1])
    assert table.rows == turned.rows and table.weights.tolist() == turned.weights.tolist()
    assert [part.rows for _, part in cue_tables(questions)] == [part.rows for _, part in cue_tables(questions[::-1])]
    assert sorted(map(sorted, table.rows[0])) <= sorted(map(sorted, table.rows[-1]))


def test_kinds_drawn_with_replacement_at_two_hops_by_hand():
    # r is .8 and .5: both within two queries .8 x .5; the third query may be a second try at either hop
    table = AvailabilityTable(((frozenset([0, 2]), frozenset([0])),), np.array([1.0]), 3)
    chances = (0.5, 0.2, 0.3)
    assert replacement_success(table, chances, 1)[0] == 0
    assert replacement_success(table, chances, 2)[0] == pytest.approx(0.4)
    assert replacement_success(table, chances, 3)[0] == pytest.approx(0.4 + 0.2 * 0.4 + 0.4 * 0.5)


def test_a_frontier_between_its_points_and_beyond_them_by_hand():
    points = tuple(FrontierPoint(one, many, gap, {}) for one, many, gap in ((0.2, 0.8, 0.0), (0.4, 0.6, 0.25)))
    front = Frontier(8, points)
    assert [front.value(x) for x in (0.0, 0.2, 0.25, 0.4, 0.9)] == pytest.approx([0.8, 0.8, 0.75, 0.6, 0.6])
    assert front.max_gap == 0.25


def test_a_frontier_has_33_points_and_names_the_plans_in_use():
    table = population_table((0.5, 0.4), 1)
    curve = table_frontier(table, 1, 2)
    assert len(curve.points) == 33 and curve.max_gap <= 1e-6
    assert all(chance > 0 for point in curve.points for chance in point.mixture.values())
    assert any(len(point.mixture) == 1 for point in curve.points)
    plain = build_world(WorldConfig(availability=(0.5, 0.4), hops=1, budget=1, num_train=20)).questions("train")
    assert len(fitted_frontier(plain, 1, 2).points) == 33


def test_plans_are_listed_in_one_order():
    plans = deterministic_plans(population_table((0.6, 0.5), 2), 3).tolist()
    assert plans == sorted(plans, reverse=True)


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("balance", [0.0, 0.25, 0.6])
def test_the_best_mixture_of_two_plans_by_calculus(k, balance):
    """Questions of shares a > b, one solved by each plan: a, b weigh the slopes c + (1 - c) k (1 - p)^(k - 1)."""
    a, b = 0.55, 0.45
    plans = ListedPlans(AvailabilityTable(((frozenset([0]),), (frozenset([1]),)), np.array([a, b]), 2), 1)
    assert plans.success.tolist() == [[1, 0], [0, 1]]

    def surplus(p):
        first, second = (balance + (1 - balance) * k * (1 - x) ** (k - 1) for x in (p, 1 - p))
        return a * first - b * second

    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if surplus(middle) > 0 else (low, middle)
    for start in ([1.0, 0.0], [0.0, 1.0], [0.5, 0.5]):
        mixture, gap = best_mixture(plans, np.array([a, b]), k, balance, np.array(start), 1e-12)
        assert mixture.tolist() == pytest.approx([low, 1 - low], abs=1e-9) and 0 <= gap <= 1e-12


def test_few_steps_find_a_mixture_of_many_plans():
    """Newton's steps on the plans in use: without them a thousand times as many steps leave a larger gap."""
    table = population_table((0.6, 0.5, 0.4), 2)
    plans = Counted(table, 3)
    start = np.full(len(plans.success), 1 / len(plans.success))
    for k, balance, most in ((8, 0.1, 4), (8, 0.5, 8), (8, 0.9, 8), (2, 0.1, 4), (2, 0.5, 4)):
        plans.calls = 0
        mixture, gap = best_mixture(plans, table.weights, k, balance, start, 1e-13)
        assert gap <= 1e-13 and plans.calls <= most
        assert mixture.min() >= 0 and mixture.sum() == pytest.approx(1, abs=1e-12)


class Counted(ListedPlans):
    calls = 0

    def best(self, gains):
        self.calls += 1
        return super().best(gains)


def test_searched_plans_are_the_best_of_all_and_stay_as_they_were_found():
    table = population_table((0.6, 0.5, 0.4), 2)
    every, searched = deterministic_plans(table, 3), SearchedPlans(table, 3)
    generator = np.random.default_rng(0)
    found = {0: searched.success[0].copy()}
    assert found[0] @ table.weights == pytest.approx((every @ table.weights).max())
    known = {tuple(plan) for plan in every}
    for _ in range(400):
        gains = generator.normal(size=len(table.rows))
        at = searched.best(gains)
        assert searched.success[at] @ gains == pytest.approx((every @ gains).max())
        assert tuple(searched.success[at]) in known
        assert np.array_equal(found.setdefault(at, searched.success[at].copy()), searched.success[at])
    assert len(found) == len(searched.success) == len({tuple(plan) for plan in searched.success})
    assert all(np.array_equal(searched.success[at], plan) for at, plan in found.items())


def test_more_plans_than_there_was_room_for_are_kept():
    table = population_table((0.6, 0.5, 0.4), 3)
    searched = SearchedPlans(AvailabilityTable(table.rows[::3], table.weights[::3], 3), 5)
    generator, found = np.random.default_rng(1), []
    for _ in range(300):
        at = searched.best(generator.normal(size=searched.success.shape[1]))
        found.append((at, searched.success[at].copy()))
    assert len(searched.success) > 130
    assert all(np.array_equal(searched.success[at], plan) for at, plan in found)


def test_a_search_without_a_plan_that_succeeds():
    searched = SearchedPlans(population_table([0.5, 0.5], 2), 1)
    assert searched.success.shape == (1, 16) and not searched.success.any()
    assert searched.best(np.ones(16)) == 0


def test_states_that_no_question_reaches_are_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    # kind 0 always hits: of three kinds those that may have missed are none, 1, 2, or 1 and 2
    table = AvailabilityTable(((frozenset([0]),),), np.array([1.0]), 3)
    monkeypatch.setattr("berrypick.envs.world.plans.MAX_STATES", 4)
    assert SearchedPlans(table, 3).success.tolist() == [[1.0]]
    monkeypatch.setattr("berrypick.envs.world.plans.MAX_STATES", 3)
    with pytest.raises(BerrypickError, match="too many plans"):
        SearchedPlans(table, 3)


def test_plans_are_listed_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    table = population_table([0.5, 0.5], 2)
    count = num_plans(2, 2, 3)
    monkeypatch.setattr("berrypick.envs.world.plans.MAX_LISTED_PLANS", count)
    assert isinstance(plans_of(table, 3), ListedPlans)
    monkeypatch.setattr("berrypick.envs.world.plans.MAX_LISTED_PLANS", count - 1)
    assert isinstance(plans_of(table, 3), SearchedPlans)


def test_a_thousand_plans_are_still_listed():
    row = (frozenset([0]),) * 3
    table = AvailabilityTable((row,), np.array([1.0]), 10)
    assert num_plans(10, 3, 3) == 1000
    assert isinstance(plans_of(table, 3), ListedPlans)


def test_a_single_plan_is_the_best_at_the_first_look():
    plans = Counted(AvailabilityTable(((frozenset([0]),),), np.array([1.0]), 1), 1)
    mixture, gap = best_mixture(plans, np.array([1.0]), 2, 0.5, np.array([1.0]), 0.0)
    assert (mixture.tolist(), gap, plans.calls) == ([1.0], 0.0, 1)


def test_two_cues_are_two_tables():
    world = build_world(
        WorldConfig(availability=(0.6, 0.4), hops=1, budget=1, cue=0.8, num_train=200, num_validation=0, num_test=0)
    )
    parts = cue_tables(world.questions("train"))
    assert len(parts) == 2
    best = sum(share * table_frontier(table, 1, 2, num_points=3).points[-1].pass_at_1 for share, table in parts)
    curve = fitted_frontier(world.questions("train"), 1, 2, num_points=3)
    assert curve.points[-1].pass_at_1 == pytest.approx(best)


def test_equal_plans_that_leave_newton_s_system_singular_are_solved_by_least_squares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def singular(*_):
        raise np.linalg.LinAlgError("Singular matrix")

    table = population_table((0.6, 0.5, 0.4), 2)
    plans = Counted(table, 3)
    start = np.full(len(plans.success), 1 / len(plans.success))
    mixture, _ = best_mixture(plans, table.weights, 8, 0.5, start, 1e-10)
    monkeypatch.setattr(np.linalg, "solve", singular)
    plans.calls = 0
    again, gap = best_mixture(plans, table.weights, 8, 0.5, start, 1e-10)
    assert gap <= 1e-10 and plans.calls <= 8
    assert _values(table, again @ plans.success, 8) == pytest.approx(
        _values(table, mixture @ plans.success, 8), abs=1e-8
    )
