"""The planning replay against a simulator of its own, written from the definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from berrypick.envs.metrics.planning import (
    conditional_kind_entropy,
    kind_information,
    kind_information_draws,
    plan_pass_at_k,
    replay,
)
from berrypick.envs.world import closed_voice
from berrypick.envs.world.facts import WorldFacts
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = list(closed_voice.KINDS[:3])


def world_of(present, budget=3):
    hops = len(present)
    ids = [[f"{(7 * hop + 5 * kind) % 11:02d}-h{hop}k{kind}" for kind in range(3)] for hop in range(hops)]
    world = {"kinds": KINDS, "hops": hops, "budget": budget, "present": present, "passages": ids}
    return WorldFacts.of_metadata({"world": world})


def query(kind):
    return closed_voice.query_text(KINDS[kind], "founder", "kizunba")


def simulated_plan(present, budget, kinds):
    """Mean success over all ways to go on: every order of untried kinds at this hop, of all kinds at later ones."""
    hops = len(present)
    successes = []
    for orders in itertools.product(itertools.permutations(range(3)), repeat=hops):
        hop, left, tried = 0, budget, []
        for kind in kinds:
            left -= 1
            if hop < hops:
                tried.append(kind)
                if kind in present[hop]:
                    hop, tried = hop + 1, []
        while hop < hops and left > 0:
            rest = [kind for kind in orders[hop] if kind not in tried]
            if not rest:
                break
            left -= 1
            tried.append(rest[0])
            if rest[0] in present[hop]:
                hop, tried = hop + 1, []
        successes.append(hop == hops)
    return np.mean(successes)


kind_sets = st.sets(st.integers(0, 2)).map(sorted)


@given(
    st.lists(kind_sets, min_size=1, max_size=2),
    st.integers(1, 6),
    st.lists(st.integers(0, 2), max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_plan_made_and_giving_up_agree_with_the_simulator(present, budget, kinds):
    kinds = kinds[:budget]
    world = world_of(present, budget)
    result = replay(world, [query(kind) for kind in kinds], [None] * len(kinds))
    assert result.plan == pytest.approx(simulated_plan(present, budget, kinds))
    hop, tried = 0, []
    first, new = [], []
    for kind in kinds:
        if hop == len(present):
            break
        if tried and len(set(tried)) < 3:
            new.append(kind not in tried)
        if not tried:
            first.append(kind)
        tried.append(kind)
        if kind in present[hop]:
            hop, tried = hop + 1, []
    assert result.made == float(hop == len(present))
    assert result.first_kinds == tuple(first)
    assert result.new_after_miss == tuple(new)
    assert result.gave_up == (hop < len(present) and len(kinds) < budget and len(set(tried)) < 3)
    assert 0 <= result.made <= result.plan <= 1


def test_an_episode_that_stopped_early_goes_on_with_untried_kinds_in_uniform_order():
    # one hop, kinds 1 and 2 hold it, kind 0 was tried: with budget 2 the next query hits for sure
    assert replay(world_of([[1, 2]], 2), [query(0)], [None]).plan == 1.0
    # only kind 2 holds it: half the orders of (1, 2) hit at once
    assert replay(world_of([[2]], 2), [query(0)], [None]).plan == 0.5
    assert replay(world_of([[]], 3), [query(0)], [None]).plan == 0.0


def test_an_episode_without_a_query_is_worth_the_uniform_order():
    # priced preset's two hops, both present everywhere: two queries suffice
    assert replay(world_of([[0, 1, 2], [0, 1, 2]]), [], []).plan == 1.0
    # one kind of three at each hop, budget 3: queries j1 + j2 <= 3 of 9 equally likely pairs: (1,1), (1,2), (2,1)
    assert replay(world_of([[0], [2]]), [], []).plan == pytest.approx(3 / 9)


def test_running_out_of_turns_is_not_giving_up():
    world = world_of([[1], [1]])
    assert replay(world, [query(0)], [None]).gave_up
    assert not replay(world, [query(0)], [None], answered=False).gave_up


def test_stopping_when_every_kind_was_tried_is_not_giving_up():
    assert not replay(world_of([[]], 6), [query(0), query(1), query(2)], [None] * 3).gave_up
    assert replay(world_of([[]], 6), [query(0), query(1)], [None] * 2).gave_up


def test_a_search_is_executed_right_if_its_top_passage_is_about_the_wanted_fact_whatever_its_kind():
    world = world_of([[0], [1]])
    here, there = world.passages
    queries = [query(1), query(0), query(0)]
    assert replay(world, queries, [here[1], here[0], there[0]]).executed == (True, True, True)
    # the first passage of the second hop comes too early; a search without a hit is wrong
    assert replay(world, queries, [there[1], None, here[0]]).executed == (False, False, False)


def test_searches_after_the_chain_is_complete_are_not_executed_right():
    world = world_of([[0]])
    result = replay(world, [query(0), query(1)], [world.passages[0][0], world.passages[0][1]])
    assert result.executed == (True, False)
    assert result.made == 1.0


def test_a_query_without_a_kind_word_counts_as_the_kind_with_the_smallest_passage_id():
    world = world_of([[0, 1, 2]])
    smallest = min(range(3), key=lambda kind: world.passages[0][kind])
    for text in ("founder kizunba", f"{KINDS[0]} {KINDS[1]} {KINDS[2]} founder kizunba"):
        assert replay(world, [text], [None]).first_kinds == (smallest,)
    for pair in ((0, 2), (1, 2), (0, 1)):
        first = min(pair, key=lambda kind: world.passages[0][kind])
        words = " ".join(KINDS[kind] for kind in reversed(pair))
        assert replay(world, [f"{words} founder kizunba"], [None]).first_kinds == (first,)


def test_repeating_a_kind_wastes_budget():
    world = world_of([[1], [0]], budget=3)
    assert replay(world, [query(0), query(0), query(1)], [None] * 3).plan == 0.0
    assert replay(world, [query(0), query(0)], [None] * 2).new_after_miss == (False,)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=7), st.data())
@settings(max_examples=40, deadline=None)
def test_plan_pass_at_k_is_the_mean_over_all_subsets(plans, data):
    k = data.draw(st.integers(1, len(plans)))
    expected = np.mean([1 - math.prod(1 - p for p in subset) for subset in itertools.combinations(plans, k)])
    assert plan_pass_at_k(plans, k) == pytest.approx(expected)


def test_plan_pass_at_k_beyond_the_samples_is_refused():
    with pytest.raises(ValueError, match="2 samples"):
        plan_pass_at_k([0.5, 0.5], 3)


def test_kind_entropy_weighs_hops_by_the_rollouts_that_reached_them():
    # hop 1: 0,1,0,1 -> ln 2 of four rollouts; hop 2: 2,2 -> 0 of two
    rollouts = [(0, 2), (1, 2), (0,), (1,)]
    assert conditional_kind_entropy(rollouts) == pytest.approx(4 / 6 * math.log(2))
    assert conditional_kind_entropy([(0,)]) is None
    assert conditional_kind_entropy([(), ()]) is None


def test_a_policy_that_hashes_names_to_kinds_has_all_its_variety_in_the_question():
    hashed = [[(question % 3,)] * 8 for question in range(30)]
    found = kind_information(hashed)
    assert found is not None
    assert found.marginal == pytest.approx(math.log(3))
    assert found.conditional == 0.0
    assert found.information == pytest.approx(math.log(3))


def test_a_policy_blind_to_the_question_has_no_information_about_it():
    rng = np.random.default_rng(3)
    blind = [[(int(kind),) for kind in rng.integers(0, 3, 64)] for _ in range(200)]
    plug_in, corrected = kind_information(blind), kind_information(blind, miller_madow=True)
    assert plug_in is not None
    assert corrected is not None
    assert plug_in.information == pytest.approx(1 / 64, abs=0.004)  # biased by (K - 1) / 2n
    assert abs(corrected.information) < 0.003
    assert plug_in.conditional == pytest.approx(math.log(3), abs=0.03)


def test_kind_information_without_searches_is_absent():
    assert kind_information([[(), ()], [()]]) is None


def test_kind_entropy_is_corrected_on_request():
    # ln 2 of four rollouts, and (2 - 1) / (2 x 4)
    assert conditional_kind_entropy([(0,), (1,), (0,), (1,)], miller_madow=True) == pytest.approx(math.log(2) + 1 / 8)


def test_kind_information_weighs_hops_by_the_rollouts_that_reached_them():
    # hop 1: kinds 0, 1 of one question and 0, 0 of the other; hop 2: 2, 2 of the first, one rollout of the second
    rollouts = [[(0, 2), (1, 2)], [(0, 1), (0,)]]
    pooled = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)  # of 0, 1, 0, 0
    found = kind_information(rollouts)
    assert found.marginal == pytest.approx(4 * pooled / 6)
    assert found.conditional == pytest.approx(2 * math.log(2) / 6)
    assert found.information == pytest.approx((4 * pooled - 2 * math.log(2)) / 6)
    corrected = kind_information(rollouts, miller_madow=True)  # n (S - 1) / 2n: one half for each of the two entropies
    assert corrected.marginal == pytest.approx((4 * pooled + 1 / 2) / 6)
    assert corrected.conditional == pytest.approx((2 * math.log(2) + 1 / 2) / 6)


def test_kind_information_needs_a_hop_that_two_rollouts_reached():
    assert kind_information([]) is None
    assert kind_information([[(0, 1)], [(1,)]]) is None
    found = kind_information([[(0,)], [(1,), (1, 2)]])
    assert (found.marginal, found.information) == (0.0, 0.0)


first_kinds = st.lists(st.lists(st.lists(st.integers(0, 2), max_size=2), max_size=4), min_size=1, max_size=4)


@given(first_kinds, st.booleans(), st.data())
@settings(max_examples=40, deadline=None)
def test_draws_of_kind_information_are_that_of_the_drawn_questions(rollouts, miller_madow, data):
    asked = st.lists(st.integers(0, len(rollouts) - 1), min_size=len(rollouts), max_size=len(rollouts))
    drawn = [data.draw(asked), data.draw(asked)]
    found = kind_information_draws(rollouts, np.array(drawn), miller_madow=miller_madow)
    alone = [kind_information([rollouts[at] for at in row], miller_madow=miller_madow) for row in drawn]
    assert found == pytest.approx([0.0 if one is None else one.information for one in alone], abs=1e-12)


def test_draws_of_kind_information_are_not_corrected_unless_asked_for():
    rollouts, once = [[(0,), (1,)], [(1,), (1,)]], np.array([[0, 1]])
    assert kind_information_draws(rollouts, once) == pytest.approx([kind_information(rollouts).information])
    assert kind_information_draws([[]], np.array([[0]])).tolist() == [0.0]


def test_an_episode_beyond_its_budget_has_none_left():
    assert replay(world_of([[1], [0]], 1), [query(0)] * 3, [None] * 3).plan == 0.0


def test_plan_pass_at_0_is_refused():
    with pytest.raises(ValueError, match="k must lie between 1 and the 2 samples, got 0"):
        plan_pass_at_k([0.5, 0.5], 0)
