"""The table of kinds: its exact values against the frontier's closed forms and against its own rollouts."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.envs.frontier import (
    best_order,
    frontier,
    order_success,
    pass_at_1,
    pass_at_k,
    question_table,
    uniform_orders,
)
from berrypick.envs.world import WorldConfig, build_world
from berrypick.experiments.kind_table import KindWorld, kind_probabilities, play
from berrypick.experiments.kind_table_values import RowTable, exact_values


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
    front = frontier(question_table(questions), config.budget, 8)
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
    from berrypick.envs.frontier import question_frontier

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
    front = question_frontier(questions, config.budget, 8)
    assert following["pass@8"] <= front.value(following["pass@1"]) + front.max_gap + 1e-3
    assert following["pass@1"] <= max(point.pass_at_1 for point in front.points) + 1e-6
