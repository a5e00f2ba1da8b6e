"""Variety of k episodes with and without validity: by hand, against all groups listed one by one, and its bounds."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities
from berrypick.policies.tabular.outcomes import outcomes_of
from berrypick.policies.tabular.validity import blind_values, least_and_most, meaning_chances, valid_values
from hypothesis import given
from hypothesis import strategies as st

ONE = np.ones(1)


def test_the_four_quantities_by_hand():
    # of two episodes: means a with chance .5, b with .25, is not valid with .25
    found = valid_values(np.array([[0.5, 0.25]]), ONE, 2)
    assert found["valid"] == pytest.approx(0.75)
    # distinct valid meanings: a is among two episodes with 1 - .5^2, b with 1 - .75^2
    assert found["effective"] == pytest.approx((0.75 + 0.4375) / 2)
    # both valid and different: a then b, or b then a
    assert found["pairwise"] == pytest.approx(0.25)
    assert found["spread"] == pytest.approx(0.25 / 0.75**2)
    # one valid: ratio 1, chance 2 x .75 x .25; two valid: 1/2 if they agree (.3125), 1 if they differ (.25)
    assert found["among"] == pytest.approx((0.375 + 0.3125 / 2 + 0.25) / (1 - 0.25**2))
    # of one episode, all of it is validity
    assert valid_values(np.array([[0.5, 0.25]]), ONE, 1)["effective"] == pytest.approx(0.75)


def test_questions_without_a_valid_episode_have_no_ratio_and_do_not_count_as_zero():
    nothing, sure = np.zeros((1, 2)), np.array([[1.0, 0.0], [0.0, 0.0]])
    found = valid_values(nothing, ONE, 4)
    assert math.isnan(found["among"]) and math.isnan(found["spread"])
    assert (found["valid"], found["effective"], found["pairwise"]) == (0, 0, 0)
    # four valid episodes of one meaning: 1/4, whatever the share of questions that nobody answers
    assert valid_values(sure, np.array([0.1, 0.9]), 4)["among"] == pytest.approx(0.25)
    assert valid_values(sure, np.array([0.1, 0.9]), 4)["effective"] == pytest.approx(0.1 / 4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.floats(0.01, 1), st.integers(2, 8))
def test_spread_does_not_depend_on_validity_and_the_ratio_falls_with_it(masses, valid, k):
    total = sum(masses)
    if total < 1e-3:
        return
    share = np.array([masses]) / total
    some, all_of_them = (valid_values(share * level, ONE, k) for level in (valid, 1.0))
    assert some["spread"] == pytest.approx(all_of_them["spread"], abs=1e-9)
    assert some["among"] >= all_of_them["among"] - 1e-12
    assert some["effective"] <= all_of_them["effective"] + 1e-12
    assert some["effective"] <= valid + 1e-12


def small_world(budget=3):
    """Two hops of two kinds: everything there; one record missing; a hop that no kind covers."""
    present = np.array([[[1, 1], [1, 1]], [[0, 1], [1, 1]], [[1, 1], [0, 0]]], bool)
    return KindWorld(present, np.zeros(3, np.int64), budget, 1, ("a", "b"), (("f", "g"),) * 3, 2)


def some_policy(world, seed=1):
    return kind_probabilities(np.random.default_rng(seed).normal(0, 1.5, world.table_shape))


def episodes(world, chances, question):
    """(chance, queries, whether it succeeds, evidence) of every episode, found by walking."""
    done = []

    def go(hop, tried, left, chance, queries, evidence):
        if hop == 2 or not left or len(tried) == 2:
            done.append((chance, queries, hop == 2, evidence))
            return
        code = sum(1 << kind for kind in tried)
        for kind in {0, 1} - set(tried):
            p = chance * chances[0, hop, code, left, kind]
            query = (hop, kind)
            if world.present[question, hop, kind]:
                go(hop + 1, (), left - 1, p, (*queries, query), (*evidence, query))
            else:
                go(hop, (*tried, kind), left - 1, p, (*queries, query), evidence)

    go(0, (), world.budget, 1.0, (), ())
    return done


@pytest.mark.parametrize("meaning", ["path", "answer"])
def test_all_quantities_are_means_over_groups_listed_one_by_one(meaning):
    world, k = small_world(), 3
    policy, weights = some_policy(world), np.array([0.5, 0.3, 0.2])
    sums = Counter()
    for question, weight in enumerate(weights):
        for group in product(episodes(world, policy, question), repeat=k):
            chance = weight * math.prod(one[0] for one in group)
            right = [one[3] if meaning == "path" else one[3][-1] for one in group if one[2]]
            queries = [query for one in group for query in one[1]]
            expected = 4 * (1 - (3 / 4) ** len(queries))
            sums["valid"] += chance * len(right) / k
            sums["effective"] += chance * len(set(right)) / k
            sums["lexical"] += chance * len(set(queries)) / expected
            sums["sequences"] += chance * len({one[1] for one in group}) / k
            sums["pairwise"] += chance * (group[0][2] and group[1][2] and len(set(right[:2])) == 2)
            if right:
                sums["any"] += chance
                sums["among"] += chance * len(set(right)) / len(right)
    sums["among"] /= sums.pop("any")
    outcomes = outcomes_of(world, policy)
    found = valid_values(meaning_chances(outcomes, meaning, 2), weights, k) | blind_values(outcomes, weights, 4, k)
    found.pop("spread")
    assert found == pytest.approx(dict(sums), abs=1e-12)


def test_bounds_hold_for_any_policy_and_are_reached():
    world, weights = small_world(), np.array([0.5, 0.3, 0.2])
    even = outcomes_of(world, kind_probabilities(np.zeros(world.table_shape)))
    for meaning in ("path", "answer"):
        bounds = least_and_most(even, weights, meaning_chances(even, meaning, 2), 4, 8, (2,))
        for seed in range(20):
            outcomes = outcomes_of(world, some_policy(world, seed))
            chances = meaning_chances(outcomes, meaning, 2)
            found = valid_values(chances, weights, 8) | blind_values(outcomes, weights, 4, 8)
            found["effective@2"] = valid_values(chances, weights, 2)["effective"]
            for name, (low, high) in bounds.items():
                assert low - 1e-9 <= found[name] <= high + 1e-9, name
    # by hand: four and two paths of two hops are valid, so that eight episodes find at most m (1 - (1 - 1/m)^8)
    by_path = least_and_most(even, weights, meaning_chances(even, "path", 2), 4, 8)
    most = 0.5 * 4 * (1 - 0.75**8) + 0.3 * 2 * (1 - 0.5**8)
    assert by_path["effective"][1] == pytest.approx(most / 8)
    assert by_path["valid"].tolist() == [0, pytest.approx(0.8)]
    # sixteen queries, two of four distinct
    sure = outcomes_of(world, kind_probabilities(np.array([0.0, 1e3]) + np.zeros(world.table_shape)))
    least = 2 / (4 * (1 - 0.75**16))
    assert blind_values(sure, np.array([1.0, 0, 0]), 4, 8)["lexical"] == pytest.approx(least)
