"""The tabular policy: its exact values against the frontier's closed forms and against its own rollouts."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick import BerrypickError
from berrypick.envs.world.frontier import (
    best_order,
    order_success,
    pass_at_1,
    pass_at_k,
    question_table,
    table_frontier,
    uniform_orders,
)
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities, play
from berrypick.policies.tabular.values import RowTable, distinct_first_success, exact_values


def questions_of(preset, num=200):
    config = WorldConfig.from_preset(preset, num_train=0, num_validation=0, num_test=num)
    return config, build_world(config).questions("test")


def order_logits(world, order, gap=200.0):
    logits = np.zeros(world.table_shape)
    for rank, kind in enumerate(order):
        logits[..., kind] = -gap * rank
    return logits


@pytest.mark.parametrize("preset", ["slack", "free", "priced", "steep"])
def test_a_uniform_table_is_the_uniform_order_and_a_sharp_one_the_best_order(preset):
    config, questions = questions_of(preset)
    world, table = KindWorld.of(questions), question_table(questions)
    rows = RowTable.of(world)
    uniform, _ = exact_values(rows, kind_probabilities(np.zeros(world.table_shape)), config.budget)
    success = order_success(table, uniform_orders(3), config.budget)
    assert uniform["pass@1"] == pytest.approx(pass_at_1(table, success))
    assert uniform["pass@8"] == pytest.approx(pass_at_k(table, success, 8))
    assert uniform["kind_entropy"] == pytest.approx(np.log(3))
    (order,) = best_order(config.availability)
    best, _ = exact_values(rows, kind_probabilities(order_logits(world, order)), config.budget)
    success = order_success(table, {order: 1.0}, config.budget)
    assert best["pass@1"] == pytest.approx(pass_at_1(table, success)) == best["pass@8"]
    assert best["kind_entropy"] == pytest.approx(0)


def test_no_table_lies_above_the_frontier():
    config, questions = questions_of("steep", 100)
    world = KindWorld.of(questions)
    front = table_frontier(question_table(questions), config.budget, 8)
    rng = np.random.default_rng(0)
    for scale in (0.5, 1, 2, 4, 8):
        values, _ = exact_values(
            RowTable.of(world), kind_probabilities(scale * rng.normal(size=world.table_shape)), config.budget
        )
        assert values["pass@8"] <= front.value(values["pass@1"]) + front.max_gap + 1e-3


def test_exact_values_agree_with_rollouts():
    config, questions = questions_of("priced", 64)
    world = KindWorld.of(questions)
    rng = np.random.default_rng(1)
    probabilities = kind_probabilities(rng.normal(size=world.table_shape))
    rows = RowTable.of(world)
    values, success = exact_values(rows, probabilities, config.budget)
    groups = 60
    asked = np.repeat(np.arange(64), 8 * groups)
    played = play(world, probabilities, asked, rng.random((len(asked), config.budget)))
    per_question = played.success.reshape(64, -1).mean(1)
    assert np.abs(per_question - success[rows.row_of_question]).max() < 5 * 0.5 / np.sqrt(8 * groups)
    any_of_8 = played.success.reshape(-1, 8).any(1).mean()
    assert any_of_8 == pytest.approx(values["pass@8"], abs=4 * 0.5 / np.sqrt(64 * groups))
    _, relevant = played.outcome_masks(3)
    union = np.bitwise_or.reduce(relevant.reshape(64, groups, 8), 2)
    found = np.array([[bin(x).count("1") for x in row] for row in union]).mean(1)
    there, covered = world.present.sum((1, 2)), world.present.any(2).all(1)
    assert (found / np.maximum(there, 1))[covered].mean() == pytest.approx(values["breadth"], abs=0.01)


def test_played_episodes_try_untried_kinds_move_on_at_a_hit_and_keep_the_budget():
    config, questions = questions_of("slack", 50)
    world = KindWorld.of(questions)
    rng = np.random.default_rng(2)
    asked = np.repeat(np.arange(50), 20)
    played = play(world, kind_probabilities(np.zeros(world.table_shape)), asked, rng.random((1000, config.budget)))
    for row in range(1000):
        hop, tried = 0, set()
        for turn in range(config.budget):
            if hop == 2 or len(tried) == 3:
                assert not played.live[row, turn]
                continue
            assert played.live[row, turn]
            assert played.hops[row, turn] == hop
            kind = int(played.kinds[row, turn])
            assert kind not in tried
            tried.add(kind)
            assert played.hit[row, turn] == world.present[asked[row], hop, kind]
            if played.hit[row, turn]:
                hop, tried = hop + 1, set()
        assert played.success[row] == (hop == 2)


def test_greedy_and_cold_tables_agree_where_there_is_no_tie():
    _, questions = questions_of("priced", 10)
    logits = np.random.default_rng(3).normal(size=KindWorld.of(questions).table_shape)
    assert kind_probabilities(logits, 1e-3) == pytest.approx(kind_probabilities(logits, 0), abs=1e-6)
    assert (kind_probabilities(logits)[:, :, 7] == 0).all()  # nothing is left to try
    assert kind_probabilities(logits)[:, :, :7].sum(-1) == pytest.approx(1)


def test_with_a_cue_the_table_has_a_policy_for_each_cue_and_the_frontier_bounds_it():
    from berrypick.envs.world.frontier import fitted_frontier

    config = WorldConfig.from_preset("priced", num_train=0, num_validation=0, num_test=150, cue=0.8)
    questions = build_world(config).questions("test")
    world = KindWorld.of(questions)
    assert world.table_shape[0] == 3
    rows = RowTable.of(world)
    follow = np.zeros(world.table_shape)
    for cue in range(3):
        follow[cue, ..., cue] = 200.0
    blind, _ = exact_values(rows, kind_probabilities(np.zeros(world.table_shape)), config.budget)
    following, _ = exact_values(rows, kind_probabilities(follow), config.budget)
    assert following["pass@1"] > blind["pass@1"] + 0.1
    assert following["kind_information"] == pytest.approx(np.log(3), abs=0.1)  # the cue says the kind
    assert following["kind_entropy"] == pytest.approx(0)
    front = fitted_frontier(questions, config.budget, 8)
    assert following["pass@8"] <= front.value(following["pass@1"]) + front.max_gap + 1e-3
    assert following["pass@1"] <= max(point.pass_at_1 for point in front.points) + 1e-6


@pytest.mark.parametrize("sets", [False, True])
def test_values_of_conflicting_answers_agree_with_rollouts(sets):
    config = WorldConfig.from_preset("priced", num_train=0, num_validation=0, num_test=48, num_answers=3, budget=4)
    world = KindWorld.of(build_world(config).questions("test"))
    assert world.num_answers == 3
    rng = np.random.default_rng(4)
    chances = kind_probabilities(rng.normal(size=world.table_shape))
    values, _ = exact_values(RowTable.of(world), chances, 4, num_answers=3, sets=sets)
    groups = 400
    asked = np.repeat(np.arange(48), 4 * groups)
    played = play(world, chances, asked, rng.random((len(asked), 4)), sets=sets)
    error = 5 * 0.5 / np.sqrt(48 * groups)
    assert played.live.sum() / len(asked) == pytest.approx(values["searches"], abs=error)
    assert played.success.mean() == pytest.approx(values["pass@1"], abs=error)
    found = played.answers.reshape(-1, 4, 3).any(1)  # of 4 episodes
    assert found.sum(1).mean() == pytest.approx(values["answers@4"], abs=3 * error)
    weights = rng.dirichlet([1, 1, 1], len(found))
    assert (weights * found).max(1).mean() == pytest.approx(values["choice@4"], abs=error)
    assert found.any(1).mean() == pytest.approx(values["pass@4"], abs=error)
    if not sets:
        assert played.answers.sum(1).max() == 1


def test_a_set_goes_on_at_the_last_hop_alone_and_tries_no_kind_twice():
    config = WorldConfig.from_preset("priced", num_train=0, num_validation=0, num_test=40, num_answers=3, budget=6)
    world = KindWorld.of(build_world(config).questions("test"))
    rng = np.random.default_rng(5)
    asked = np.repeat(np.arange(40), 10)
    chances = kind_probabilities(np.zeros(world.table_shape))
    played = play(world, chances, asked, rng.random((400, 6)), sets=True)
    one = play(world, chances, asked, np.random.default_rng(5).random((400, 6)))
    assert (played.success == one.success).all()
    for row in range(400):
        last = played.live[row] & (played.hops[row] == 1)
        kinds = played.kinds[row][last].tolist()
        assert len(set(kinds)) == len(kinds)
        there = set(np.flatnonzero(world.present[asked[row], 1]))
        assert set(np.flatnonzero(played.answers[row])) == set(kinds) & there
        assert (played.live[row] >= one.live[row]).all()


def test_everything_found_is_worth_the_harmonic_mean_that_vpo_states():
    """systems.md, section 11: all d unit vectors score H_d / d; for d = 3 .61111."""
    world = KindWorld(
        np.ones((2, 1, 3), np.bool_), np.zeros(2, np.int64), 3, 1, ("a", "b", "c"), (("x",), ("y",)), num_answers=3
    )
    chances = kind_probabilities(np.zeros(world.table_shape))
    values, _ = exact_values(RowTable.of(world), chances, 3, num_answers=3, sets=True)
    assert values["choice@1"] == pytest.approx(11 / 18)
    assert values["answers@1"] == pytest.approx(3)
    assert values["searches"] == pytest.approx(3)
    single, _ = exact_values(RowTable.of(world), chances, 3, num_answers=3)
    assert single["choice@1"] == pytest.approx(1 / 3)
    assert single["answers@2"] == pytest.approx(2 - 1 / 3)  # two uniform draws agree one time in three


def test_answers_that_share_kinds_are_refused():
    config = WorldConfig.from_preset("priced", num_train=0, num_validation=0, num_test=4, num_answers=2)
    with pytest.raises(BerrypickError, match="needs 1 or 3 answers, got 2"):
        KindWorld.of(build_world(config).questions("test"))


def test_distinct_first_queries_are_found_by_hand():
    """One hop, two kinds, one query: of two episodes each asks another kind, so one finds it if any kind has it."""
    config = WorldConfig(availability=(0.7, 0.2), hops=1, budget=1)
    rows = RowTable.population(config)
    chances = kind_probabilities(np.zeros((1, 1, 4, 2, 2)))
    assert distinct_first_success(rows, chances, 1, 2) == pytest.approx(1 - 0.3 * 0.8)
    narrow = np.zeros((1, 1, 4, 2, 2))
    narrow[..., 1] = 9.0  # the third episode asks the preferred kind once more, which finds nothing new
    assert distinct_first_success(rows, kind_probabilities(narrow), 1, 3) == pytest.approx(1 - 0.3 * 0.8)
    assert distinct_first_success(rows, kind_probabilities(narrow), 1, 1) == pytest.approx(0.2)


def test_distinct_first_queries_are_never_worse_than_the_best_single_first_query():
    config = WorldConfig.from_preset("priced")
    rows = RowTable.population(config)
    logits = np.random.default_rng(3).normal(size=(1, 2, 8, 4, 3))
    chances = kind_probabilities(logits)
    values, _ = exact_values(rows, chances, 3)
    spread = distinct_first_success(rows, chances, 3, 8)
    assert spread > values["pass@8"] - 0.05
    forced = chances.copy()
    forced[:, 0, 0, 3] = [1, 0, 0]
    one, _ = exact_values(rows, forced, 3, (3,))
    assert spread >= one["pass@3"]  # three of the eight episodes are these
