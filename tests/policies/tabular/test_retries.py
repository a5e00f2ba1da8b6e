"""Attempts and retries of a table: hand-computed values, sampling against exact values, what comments may name."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from berrypick.envs.world.config import WorldConfig
from berrypick.policies.tabular.retries import Actor, Misreading, attempt, choice_counts, fit_actor, fit_aversion
from berrypick.policies.tabular.retry_rounds import CRITIQUE, Loop, play_round, seed_demonstrations
from berrypick.policies.tabular.retry_values import attempt_values, hardest, retried, vote_success
from hypothesis import given
from hypothesis import strategies as st

TIGHT = WorldConfig(availability=(0.6, 0.4, 0.2), budget=2, clauses=4)
ROOMY = WorldConfig(availability=(0.6, 0.5, 0.4), budget=3, clauses=4)


def one_hop(first, budget=2):
    """A policy of one hop and two kinds that begins with kind 0 with some chance."""
    shares = np.log([first, 1 - first])
    return Actor(np.broadcast_to(shares, (1, 4, budget + 1, 2)))


def a_policy(config, seed=0, aversion=2.0):
    kinds = len(config.kinds)
    shape = (config.hops, 2**kinds, config.budget + 1, kinds)
    return Actor(np.random.default_rng(seed).normal(size=shape), aversion)


def questions(config, size, seed=1):
    return np.random.default_rng(seed).random((size, config.hops, len(config.kinds))) < np.array(config.availability)


def draws(config, size, seed=2):
    return np.random.default_rng(seed).random((size, config.budget, 2))


# Values


def test_a_clause_taken_at_random_is_wrong_in_all_but_one_of_the_clauses_and_a_comment_halves_it():
    assert Misreading.of(TIGHT).slip == pytest.approx(0.2 * 3 / 4)
    assert Misreading.of(replace(TIGHT, clauses=1)).slip == 0
    assert Misreading.of(TIGHT).careful().slip == pytest.approx(0.075)


def test_two_queries_for_one_fact_by_hand():
    slip, first, (a0, a1) = 0.3, 0.7, (0.6, 0.4)
    found = attempt_values(np.array([[[True, False]]]), Misreading(slip, (a0, a1)), one_hop(first), 2)
    # kind 0 first and read; or kind 1 first, seen to be void (or misread as void), and then kind 0
    right = first * (1 - slip) + (1 - first) * (1 - slip * a1) * (1 - slip)
    # a misread clause that names an entity: of kind 0 or 1 first, or of the other one after that
    wrong = first * (slip * a0 + slip * (1 - a0) * slip * a1)
    wrong += (1 - first) * (slip * a1 + (1 - slip * a1) * slip * a0)
    assert found.success[0] == pytest.approx(right)
    assert found.wrong[0] == pytest.approx(wrong)
    assert found.ways[0,][0] == pytest.approx(right)
    assert found.searches[0] == pytest.approx(first * (1 + slip * (1 - a0)) + (1 - first) * (2 - slip * a1))
    assert sum(mass[0] for mass in found.failures.values()) == pytest.approx(1 - right)


def test_a_retry_that_is_told_a_void_kind_by_hand():
    slip, first, weight = 0.3, 0.2, 1.5
    present, reader = np.array([[[True, False]]]), Misreading(slip, (0.6, 0.4))
    actor = replace(one_hop(first, 1), aversion=weight)
    begun = attempt_values(present, reader, actor, 1)
    said = 1 / (1 + math.exp(-(math.log(first / (1 - first)) + weight)))  # kind 0, when kind 1 is named
    searched_one = 1 - first
    missed_zero = first * slip
    right = first * (1 - slip)
    again = (1 - slip / 2) * (searched_one * said + missed_zero * first)  # kind 0 is there and is never named
    assert retried(present, reader, actor, 1, begun, tells=True)[0] == pytest.approx(right + again)
    blind = right + (1 - right) * first * (1 - slip / 2)
    assert retried(present, reader, actor, 1, begun, tells=False)[0] == pytest.approx(blind)


@pytest.mark.parametrize("config", [TIGHT, ROOMY])
def test_a_hundred_thousand_attempts_agree_with_the_exact_values(config):
    size, actor, reader = 100_000, a_policy(config), Misreading.of(config)
    present = np.repeat(questions(config, 4, seed=5), size // 4, 0)
    named = np.full((size, config.hops), 1)
    played = attempt(present, reader, actor, named, draws(config, size))
    exact = attempt_values(present[:: size // 4], reader, actor, config.budget, named[:4])
    for at, rows in enumerate(np.arange(size).reshape(4, -1)):
        error = 4.5 * math.sqrt(0.25 / len(rows))
        assert played.success[rows].mean() == pytest.approx(exact.success[at], abs=error)
        assert played.searches[rows].mean() == pytest.approx(exact.searches[at], abs=config.budget * error)
    ways = played.signatures(3)[played.success]
    for way, mass in exact.ways.items():
        assert (ways == way[0] + 3 * way[1]).sum() / size == pytest.approx(mass.mean(), abs=0.008)


def test_a_vote_of_three_by_hand():
    right, wrong = 0.5, 0.2
    chances = {"right": right, "wrong": wrong, "none": 0.3}
    total = 0.0
    for votes in product(chances, repeat=3):
        good, bad = votes.count("right"), votes.count("wrong")
        won = 1.0 if good >= 2 else 1 / (1 + bad) if good else 0.0
        total += won * math.prod(chances[vote] for vote in votes)
    assert vote_success(np.array([right]), np.array([wrong]), 3)[0] == pytest.approx(total)
    assert vote_success(np.array([right]), np.array([wrong]), 1)[0] == pytest.approx(right)


def test_the_hardest_quarter_is_shared_by_questions_that_are_equally_hard():
    success = np.array([0.0, 0.1, 0.3, 0.3, 0.9])
    solvable = np.array([False, True, True, True, True])
    weights = np.array([0.2, 0.1, 0.2, 0.2, 0.3])
    # a quarter of .8 is .2: the second question's .1, and .1 of the .4 of the two that tie
    assert hardest(success, solvable, weights) == pytest.approx([0, 1, 0.25, 0.25, 0])


# Fitting


def test_obeying_three_times_of_four_is_a_weight_of_log_three():
    config = WorldConfig(availability=(0.5, 0.5), hops=1, budget=1)
    actor = fit_actor(np.zeros((1, 4, 2, 2)))
    kinds = np.array([0, 0, 0, 1])  # kind 1 is named
    at = (kinds[:, None] + 0.5) / 2
    played = attempt(
        np.ones((4, 1, 2), np.bool_), Misreading(0.0, config.availability), actor, np.full((4, 1), 2),
        np.stack([at, at], -1),
    )  # fmt: skip
    assert played.kinds[:, 0].tolist() == kinds.tolist()
    assert fit_aversion(actor, [(played, np.ones(4, np.bool_))]) == pytest.approx(math.log(3))


def test_a_base_that_made_each_choice_once_and_counts():
    counts = np.zeros((1, 4, 2, 2))
    counts[0, 0, 1] = (2, 1)
    nothing = np.zeros(1, np.int64)
    assert fit_actor(counts).chances(nothing, nothing, 1, nothing)[0] == pytest.approx([3 / 5, 2 / 5])


def test_counts_are_of_the_choices_of_the_episodes_asked_for():
    size, actor = 50, a_policy(ROOMY)
    played = attempt(
        questions(ROOMY, size), Misreading.of(ROOMY), actor, np.zeros((size, 2), np.int64), draws(ROOMY, size)
    )
    counts = choice_counts(actor.logits.shape, played, played.success)
    assert counts.sum() == played.live[played.success].sum()
    assert counts[0, 0, 3].sum() == played.success.sum()  # each begins at the first hop with the whole budget


# Rounds


@pytest.fixture(scope="module")
def trained():
    present = questions(TIGHT, 400)
    return present, seed_demonstrations(present, TIGHT, (0.7, 0.2, 0.1), 3).fit([])


@given(seed=st.integers(0, 2**20), config=st.sampled_from([TIGHT, ROOMY]))
def test_a_critic_names_only_kinds_that_were_searched_and_are_void(seed, config):
    size = 30
    present, actor = questions(config, size, seed), a_policy(config, seed)
    played = attempt(present, Misreading.of(config), actor, np.zeros((size, 2), np.int64), draws(config, size, seed))
    for row in range(size):
        searched = {(int(h), int(k)) for h, k in zip(played.hops[row][played.live[row]], played.kinds[row])}
        for hop, kind in product(range(2), range(3)):
            named = bool(played.void[row, hop] >> kind & 1)
            assert named == ((hop, kind) in searched and not present[row, hop, kind])


@pytest.mark.parametrize("loop", [Loop(), Loop("generic"), CRITIQUE, Loop("shuffled"), Loop("believed")])
def test_at_most_one_retry_is_accepted_and_only_without_a_right_first_attempt(trained, loop):
    present, actor = trained
    played = play_round(present, TIGHT, actor, loop, 5, seed=0, number=0)
    (first, right), (again, chosen) = played.accepted
    solved = set(played.questions[0][right].tolist())
    repaired = played.questions[1][chosen].tolist()
    assert len(set(repaired)) == len(repaired) and not solved & set(repaired)
    assert again.success[chosen].all() and first.success[right].all() and right.sum() == first.success.sum()
    unsolved = len(present) - len(solved)
    assert played.retried == 5 * unsolved
    assert played.generations == 5 * len(present) + played.retried
    assert played.cost == first.searches.sum() + again.searches.sum() + (played.retried if loop.comment else 0)


def test_arms_share_their_first_attempts_and_the_hop_alone_is_check_again(trained):
    present, actor = trained
    rounds = [play_round(present, TIGHT, actor, loop, 5, seed=0, number=0) for loop in (Loop(), CRITIQUE)]
    assert (rounds[0].accepted[0][0].kinds == rounds[1].accepted[0][0].kinds).all()
    named = [one.accepted[1][0].named for one in rounds]
    assert not named[0].any() and named[1].any()
    shuffled = play_round(present, TIGHT, actor, Loop("shuffled"), 5, seed=0, number=0).accepted[1][0].named
    assert sorted(map(tuple, shuffled.tolist())) == sorted(map(tuple, named[1].tolist()))
    assert (shuffled != named[1]).any()


def test_blind_retries_of_equal_cost_stop_at_the_cost_of_the_critique(trained):
    present, actor = trained
    critique = play_round(present, TIGHT, actor, CRITIQUE, 5, seed=0, number=0)
    blind = play_round(present, TIGHT, actor, Loop(equal_cost=True), 5, seed=0, number=0, most=critique.retry_cost)
    assert critique.retry_cost - TIGHT.budget < blind.retry_cost <= critique.retry_cost
    assert blind.retried > critique.retried
    repaired = np.concatenate([asked[which] for (_, which), asked in zip(blind.accepted[1:], blind.questions[1:])])
    assert len(set(repaired.tolist())) == len(repaired)


def test_without_misreading_the_actor_is_as_good_a_critic_as_any(trained):
    present, actor = trained
    plain = replace(TIGHT, clauses=1)
    true, own = (play_round(present, plain, actor, Loop(what), 5, seed=0, number=0) for what in ("void", "believed"))
    assert (true.accepted[1][1] == own.accepted[1][1]).all()


def test_a_demonstrator_who_obeys_nine_times_of_ten_teaches_aversion(trained):
    _, actor = trained
    assert 2 < actor.aversion < 6
    start = np.zeros(1, np.int64)
    first = actor.chances(start, start, 2, start)[0]
    told = actor.chances(start, start, 2, start + 1)[0]
    assert first[0] == pytest.approx(0.7, abs=0.1)
    assert told[0] < first[0] / 3
