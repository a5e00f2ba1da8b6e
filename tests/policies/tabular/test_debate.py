"""Tabular agents: fits to kept episodes, votes, what critics see, exact values of a team against a simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from berrypick.envs.world.config import WorldConfig
from berrypick.policies.tabular.choices import choice_probabilities
from berrypick.policies.tabular.debate import (
    COPY,
    KEEP,
    LOOK,
    Critic,
    allowed_actions,
    combination,
    debate,
    draw_votes,
    num_situations,
    situations,
)
from berrypick.policies.tabular.fitting import choice_counts, fit_choices, search_choices
from berrypick.policies.tabular.kinds import KindWorld
from berrypick.policies.tabular.readers import Reader, play_answers, plurality, vote_chances
from berrypick.policies.tabular.row_table import RowTable
from berrypick.policies.tabular.team_training import Fit, Rule, share_out, train_round
from berrypick.policies.tabular.team_values import Team, TeamValues
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)


def population(**knobs):
    """All questions of a World and their shares."""
    config = WorldConfig(num_train=1, num_validation=0, num_test=0, **knobs)
    rows = RowTable.population(config)
    return KindWorld(rows.present, rows.table, config.budget, 1, config.kinds, ()), rows.weights


def random_team(world, seed, clauses=3, spread=1.0, agents=3):
    random = np.random.default_rng(seed)

    def draw(*shape):
        return spread * random.standard_normal(shape)

    readers = [Reader(draw(*world.table_shape), draw(len(world.kinds), clauses)) for _ in range(2 * agents)]
    critics = tuple(Critic(one, draw(num_situations(agents), 3)) for one in readers[agents:])
    return Team(tuple(readers[:agents]), critics)


# Fits


def test_a_step_of_a_fit_is_the_share_of_the_data_minus_the_probability():
    found = fit_choices(np.zeros((1, 3)), np.array([[3.0, 1.0, 0.0]]), 4, rate=1.0, steps=1)
    assert found == pytest.approx(np.array([[3 / 4 - 1 / 3, 1 / 4 - 1 / 3, -1 / 3]]))
    # a state that half of the episodes visit moves half as far
    assert fit_choices(np.zeros((1, 3)), np.array([[3.0, 1.0, 0.0]]), 8, rate=1.0, steps=1) == pytest.approx(found / 2)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_long_fit_reaches_the_frequencies_and_no_data_change_nothing(seed):
    random = np.random.default_rng(seed)
    counts, logits = random.integers(1, 9, (2, 4)).astype(float), random.standard_normal((2, 4))
    before = logits.copy()
    found = fit_choices(logits, counts, counts.sum(), rate=4.0, steps=2000)
    assert choice_probabilities(found) == pytest.approx(counts / counts.sum(1, keepdims=True), abs=1e-6)
    assert np.array_equal(fit_choices(logits, counts * 0, 0, rate=1.0, steps=5), before)
    assert np.array_equal(logits, before)


def test_counts_are_the_choices_of_the_kept_episodes_and_tried_kinds_stay_impossible():
    world, _ = population(availability=(0.5, 0.5), hops=1, budget=2)
    reader = Reader(np.zeros(world.table_shape), np.zeros((2, 2)))
    played = play_answers(world, reader, np.arange(len(world.table)), np.random.default_rng(0)).played
    everything = choice_counts(played, np.ones(len(world.table), bool), world.table_shape)
    assert everything.sum() == played.live.sum()
    alone = np.eye(len(world.table), dtype=bool)
    assert sum(choice_counts(played, one, world.table_shape) for one in alone) == pytest.approx(everything)
    allowed = search_choices(world.table_shape)
    fitted = fit_choices(reader.search, everything, 4, rate=1.0, steps=9, allowed=allowed)
    assert (choice_probabilities(fitted, allowed)[:, :, 1, :, 0] == 0).all()  # kind 0 was tried


# Votes


@pytest.mark.parametrize(
    ("votes", "shares"),
    [
        ((1, 1, 2), (0, 1, 0, 0)),
        ((1, 2, 3), (0, 1 / 3, 1 / 3, 1 / 3)),
        ((0, 0, 2), (0, 0, 1, 0)),
        ((0, 1, 2), (0, 1 / 2, 1 / 2, 0)),
        ((0, 0, 0), (1, 0, 0, 0)),
    ],
)
def test_missing_answers_do_not_vote_and_ties_are_shared(votes, shares):
    assert plurality(3, 4)[np.ravel_multi_index(votes, (4, 4, 4))] == pytest.approx(np.array(shares))


@given(SEEDS, st.integers(2, 4))
@settings(max_examples=15, deadline=None)
def test_votes_of_independent_voters_are_those_of_every_combination(seed, voters):
    chances = np.random.default_rng(seed).dirichlet(np.ones(4), (voters, 2))
    expected = np.zeros((2, 4))
    for number, said in enumerate(product(range(4), repeat=voters)):
        mass = np.prod([one[:, answer] for one, answer in zip(chances, said)], axis=0)
        expected += mass[:, None] * plurality(voters, 4)[number]
    assert vote_chances(list(chances)) == pytest.approx(expected)


# Critics


def code(has, support, rival):
    return (has * 3 + support) * 3 + rival


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ((0, 0, 0), (code(0, 0, 0), (0, 0, 0))),
        ((0, 1, 1), (code(0, 0, 2), (0, 1, 0))),
        ((0, 1, 2), (code(0, 0, 1), (0, 1 / 2, 1 / 2))),
        ((1, 1, 2), (code(1, 1, 1), (0, 0, 1))),
        ((1, 1, 1), (code(1, 2, 0), (0, 0, 0))),
        ((1, 2, 2), (code(1, 0, 2), (0, 0, 1))),
        ((1, 0, 0), (code(1, 0, 0), (0, 0, 0))),
    ],
)
def test_what_the_first_of_three_critics_sees_and_could_copy(said, first):
    at, seen = np.ravel_multi_index(said, (3, 3, 3)), situations(3, 3)
    assert (seen.codes[0, at], tuple(seen.others[0, at])) == first
    assert combination([np.array([one]) for one in said], 3) == [at]


def test_nobody_copies_where_there_is_nothing_to_copy_and_controls_forbid_an_action():
    whole = allowed_actions(3)
    assert not whole[code(1, 2, 0), COPY] and whole[code(1, 0, 1), COPY] and whole[:, [KEEP, LOOK]].all()
    assert not allowed_actions(3, copies=False)[:, COPY].any()
    assert not allowed_actions(3, looks=False)[:, LOOK].any()


# Exact values


def test_one_query_and_one_record_by_hand():
    world, weights = population(availability=(0.5, 0.5), hops=1, budget=1)
    reader = Reader(np.zeros(world.table_shape), np.log([[0.6, 0.4], [0.6, 0.4]]))
    team = Team((reader,) * 3, (Critic(reader, np.zeros((num_situations(3), 3))),) * 3)
    found = TeamValues(world, weights, allowed_actions(3)).values(team)
    # a query finds the record with chance 1/2, which is read right with chance .6
    assert found["pass@1"] == pytest.approx(0.3) and found["wrong"] == pytest.approx(0.2)
    assert TeamValues(world, weights, allowed_actions(3)).answerable == pytest.approx(0.75)
    # three voters, given how many kinds have the record (both: chance 1/4, one: 1/2, none: 1/4)
    vote = 0.0
    for share, finds in ((0.25, 1.0), (0.5, 0.5)):
        right, wrong, none = 0.6 * finds, 0.4 * finds, 1 - finds
        vote += share * (right**3 + 3 * right**2 * (wrong + none) + 3 * right * none**2 + 6 * right * wrong * none / 2)
    assert found["vote_first"] == pytest.approx(vote) and found["self_vote"] == pytest.approx(vote)
    assert found["difference"] == found["reading_difference"] == 0
    assert found["excess"] == pytest.approx(0, abs=1e-12)
    # right episodes differ where both kinds have the record, half of the time
    assert found["across"] == pytest.approx(0.25 * 0.5 / (0.25 + 0.5 * 0.25))
    assert found["entropy"] == pytest.approx(np.log(2))


def test_exact_values_are_those_of_a_simulation():
    world, weights = population(availability=(0.6, 0.5, 0.4), hops=2, budget=3)
    team, allowed = random_team(world, 5), allowed_actions(3)
    exact = TeamValues(world, weights, allowed).values(team)
    size = 60_000
    questions = np.random.default_rng(1).choice(len(weights), size, p=weights)
    played = debate(world, team.generators, team.critics, questions, allowed, (3,))
    first, last = played.first_answers, played.last
    random = np.random.default_rng(2)
    votes = draw_votes(last, 4, random)
    rivals = played.situations % 3 > 0
    changed = last != first
    both = (last[0] > 0) & (last[1] > 0)
    team_copies = [played.actions[agent][rivals[agent]] == COPY for agent in range(3)]
    simulated = {
        "pass@1": (first == 1).mean(),
        "wrong": (first > 1).mean(),
        "vote_first": (draw_votes(first, 4, random) == 1).mean(),
        "vote_last": (votes == 1).mean(),
        "labelled": (votes > 0).mean(),
        "label_accuracy": (votes == 1).sum() / (votes > 0).sum(),
        "last@1": (last == 1).mean(),
        "copies": np.mean([one.mean() for one in team_copies]),
        "look": (played.actions == LOOK).mean(),
        "repaired": np.mean([(now == 1)[then != 1].mean() for now, then in zip(last, first)]),
        "spoiled": np.mean([(now != 1)[then == 1].mean() for now, then in zip(last, first)]),
        "copied_share": np.mean([((a == COPY) & c).sum() / c.sum() for a, c in zip(played.actions, changed)]),
    }
    for name, value in simulated.items():
        assert exact[name] == pytest.approx(value, abs=0.01), name  # 4 standard errors and more
    pairs = [((last[a] == last[b]) & (last[a] > 0)).sum() / ((last[a] > 0) & (last[b] > 0)).sum()
             for a, b in ((0, 1), (0, 2), (1, 2))]  # fmt: skip
    assert exact["agree_last"] == pytest.approx(np.mean(pairs), abs=0.01) and both.any()
    queries = [one.played.live.sum() for one in played.first]
    further = [(one.played.live.sum(1) * (act == LOOK)).sum() for one, act in zip(played.looked, played.actions)]
    assert exact["queries"] == pytest.approx(1 + sum(further) / sum(queries), abs=0.01)


def test_queries_of_critics_who_look_where_episodes_are_long():
    world, weights = population(availability=(0.5, 0.5), hops=1, budget=2)
    sure = Reader(np.zeros(world.table_shape), np.log([[1 - 1e-12, 1e-12]] * 2))
    decide = np.full((num_situations(3), 3), -50.0)
    decide[:9, LOOK], decide[9:, KEEP] = 50.0, 50.0  # looks again only without an answer
    team = Team((sure,) * 3, (Critic(sure, decide),) * 3)
    found = TeamValues(world, weights, allowed_actions(3)).values(team)
    # both kinds have the record: 1 query; one has it: 1 or 2; none: 2, and only then there is no answer
    assert found["look"] == pytest.approx(1 / 4)
    assert found["queries"] == pytest.approx(1 + (2 / 4) / (1 / 4 + 1.5 / 2 + 2 / 4))


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_shares_are_shares_and_more_voters_of_copies_keep_the_bounds(seed):
    world, weights = population(availability=(0.7, 0.3), hops=1, budget=2)
    exact = TeamValues(world, weights, allowed_actions(3))
    found = exact.values(random_team(world, seed, spread=2.0))
    for name in ("pass@1", "vote_first", "vote_last", "vote_six", "team@8", "difference", "across", "within", "copies"):
        assert -1e-12 <= found[name] <= 1 + 1e-12
    assert found["pass@1"] <= found["pass@8"] + 1e-12 <= exact.answerable + 1e-9
    assert found["pass@8"] <= found["team@8"] + 1e-12  # 1 - (1 - p)^8 is concave


# Training data


@given(SEEDS, st.integers(0, 30))
@settings(max_examples=25, deadline=None)
def test_every_split_deals_out_what_it_says(seed, size):
    items = np.random.default_rng(seed).random((3, size)) < 0.5
    shares = {
        split: share_out(items, split, np.random.default_rng(1)) for split in ("own", "union", "matched", "random")
    }
    for agent in range(3):
        assert np.array_equal(shares["own"][agent, agent], items[agent])
        assert shares["own"][agent].sum() == items[agent].sum()
        assert np.array_equal(shares["union"][agent], items)
        assert np.array_equal(shares["matched"][agent], shares["matched"][0])
        assert not (shares["matched"][agent] & ~items).any()
    assert np.array_equal(shares["random"].sum(0), items.astype(int))  # every item to exactly one learner
    assert shares["matched"][0].sum() == -(-items.sum() // 3)


def round_of(rule, *, spread=1.0, seed=0, rate=1.0):
    world, weights = population(availability=(0.6, 0.5, 0.4), hops=2, budget=3)
    team = random_team(world, 5, spread=spread)
    if rule.single:
        team = Team((team.generators[0],) * 3, (team.critics[0],) * 3)
    questions = np.random.default_rng(7).choice(len(weights), 300, p=weights)
    allowed = allowed_actions(3, copies=rule.copies, looks=rule.looks)
    return team, train_round(world, team, team, questions, rule, allowed, Fit(rate, 4), (seed,))


def test_with_the_truth_as_label_all_are_labelled_and_data_are_the_right_first_episodes():
    team, done = round_of(Rule(label="truth"))
    assert (done.labelled, done.label_accuracy) == (1.0, 1.0)
    world, weights = population(availability=(0.6, 0.5, 0.4), hops=2, budget=3)
    questions = np.random.default_rng(7).choice(len(weights), 300, p=weights)
    played = debate(world, team.generators, team.critics, questions, allowed_actions(3), (0, 0))
    assert done.sizes.tolist() == [(one == 1).sum() for one in played.first_answers]


def test_a_single_agent_stays_one_and_equal_seeds_give_equal_rounds():
    _, done = round_of(Rule("first", "union", single=True))
    first, *others = done.team.generators
    assert all(
        np.array_equal(first.search, one.search) and np.array_equal(first.reading, one.reading) for one in others
    )
    again = round_of(Rule("first", "union", single=True))[1]
    assert np.array_equal(again.team.generators[0].search, first.search)


def test_critics_learn_only_where_there_is_a_debate_and_rate_zero_learns_nothing():
    team, done = round_of(Rule(label="first"))
    assert done.team.critics == team.critics
    team, done = round_of(Rule(), rate=0.0)
    assert all(np.array_equal(a.search, b.search) for a, b in zip(team.generators, done.team.generators))
    team, done = round_of(Rule())
    assert not np.array_equal(team.critics[0].decide, done.team.critics[0].decide)
    # a vote of two or more labels fewer questions
    assert round_of(Rule(label="agreed"))[1].labelled < done.labelled
