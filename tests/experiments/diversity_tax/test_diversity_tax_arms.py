"""The arms: losses against their definitions, outcomes against the passages that were shown."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.experiments.grid.arms import ARMS
from berrypick.policies.tabular.groups import groups_of_table
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities
from berrypick.policies.tabular.training import (
    TableConfig,
    demonstration_order,
    imitate,
    train_table,
)


@pytest.fixture(scope="module")
def world():
    config = WorldConfig.from_preset("priced", num_train=32, num_validation=0, num_test=0)
    return KindWorld.of(build_world(config).questions("train"))


QUICK = TableConfig(questions_per_step=8, group_size=8, sft_steps=30, steps=4, checkpoints=(0, 2, 4), learning_rate=1.0)


def trained(world, arm, *, strength=None, seed=0, config=QUICK):
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    chosen = ARMS[arm]
    loss = chosen.loss(chosen.middle[0] if strength is None else strength)
    table = chosen.table(config)
    return train_table(logits, world, loss, table, seed=seed, rewards=chosen.rewards, sets=chosen.sets)


@pytest.fixture(scope="module")
def answers_world():
    config = WorldConfig.from_preset("priced", num_train=32, num_validation=0, num_test=0, num_answers=3, budget=4)
    return KindWorld.of(build_world(config).questions("train"))


@pytest.mark.parametrize("arm", [name for name, arm in ARMS.items() if not arm.imitation])
def test_every_arm_trains_repeatably_and_stays_finite(world, answers_world, arm):
    world = answers_world if ARMS[arm].sets else world
    first, second = trained(world, arm), trained(world, arm)
    assert np.array_equal(first[4], second[4])
    assert np.isfinite(first[4]).all()
    assert list(first) == [0, 2, 4]


def test_a_learning_rate_of_zero_changes_nothing_and_others_do(world):
    assert not trained(world, "no_learning")[4].any()
    assert trained(world, "grpo")[4].any()


def test_an_entropy_weight_of_zero_and_a_bonus_weight_of_zero_are_grpo(world):
    grpo = trained(world, "grpo")[4]
    for arm in ("entropy", "batch", "ucb_mean"):
        assert trained(world, arm, strength=0.0)[4] == pytest.approx(grpo)


def test_kl_cov_is_its_control_on_the_first_update_and_not_on_the_second(world):
    from dataclasses import replace

    def one_step(arm, epochs):
        logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
        config = replace(QUICK, steps=1, checkpoints=(1,), epochs=epochs)
        return train_table(logits, world, ARMS[arm].loss(1.0), config, seed=3)[1]

    assert one_step("kl_cov", 1) == pytest.approx(one_step("grpo", 1))
    assert one_step("kl_cov", 2) != pytest.approx(one_step("grpo", 2))


def test_the_gradient_of_one_step_is_the_policy_gradient_by_hand(world):
    captured = []

    def loss(batch):
        captured.append(batch)
        return ARMS["dr_grpo"].loss(0.0)(batch)

    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    config = TableConfig(questions_per_step=8, group_size=4, steps=1, checkpoints=(1,), learning_rate=1.0)
    moved = train_table(logits, world, loss, config, seed=1)[1]
    (batch,) = captured
    advantages = (batch.rewards - batch.rewards.mean(1, keepdim=True)).reshape(-1).numpy()
    expected = np.zeros((np.prod(world.table_shape[:-1]), 3))
    chances = kind_probabilities(np.zeros(world.table_shape)).reshape(-1, 3)
    for episode in range(32):
        for turn in range(world.budget):
            if batch.decisions.live[episode, turn]:
                state = batch.decisions.states[episode, turn]
                push = np.eye(3)[batch.decisions.kinds[episode, turn]] - chances[state]
                expected[state] += advantages[episode] * push / 32
    assert moved.reshape(-1, 3) == pytest.approx(expected, abs=1e-12)


def test_imitation_learns_the_order_and_narrow_seeds_demonstrate_every_order_once(world):
    orders = [demonstration_order("narrow", 3, seed) for seed in range(6)]
    assert sorted(orders) == sorted(itertools.permutations(range(3)))
    assert demonstration_order("diverse", 3, 0) is None
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    imitate(logits, world, (2, 0, 1), QUICK, first_step=0, num_steps=60, seed=0)
    first = kind_probabilities(logits.detach().numpy())[0, 0, 0, world.budget]
    assert first[2] > 0.9


def test_outcomes_of_the_table_are_equal_exactly_where_the_passages_are(world):
    seen = []
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)

    def loss(batch):
        seen.append(batch)
        return batch.log_probs * 0

    train_table(logits, world, loss, TableConfig(steps=1, checkpoints=(), questions_per_step=8), seed=2)
    (batch,) = seen
    g, played = groups_of_table(batch), batch.decisions
    for q in range(8):
        shown = [
            frozenset(zip(hops[live].tolist(), kinds[live].tolist()))
            for hops, kinds, live in zip(played.hops, played.kinds, played.live)
        ][q * 8 : q * 8 + 8]
        found = g.outcomes["retrieval"][q]
        for a, b in itertools.combinations(range(8), 2):
            assert (shown[a] == shown[b]) == (found[a] == found[b])
        assert [code is None for code in g.outcomes["evidence"][q]] == [
            not (played.hit[row] & played.live[row]).any() for row in range(q * 8, q * 8 + 8)
        ]
        assert [len(text) for text in g.queries[q]] == [len(s) for s in shown]


def test_rewards_of_sets_are_the_harmonic_numbers_the_sums_and_for_equal_dimensions_success(answers_world):
    from berrypick.policies.objectives.shapes import MultiRlvr, Vpo

    seen = []

    def loss(batch):
        seen.append(batch)
        return batch.log_probs * 0

    logits = torch.zeros(answers_world.table_shape, dtype=torch.float64, requires_grad=True)
    config = TableConfig(steps=1, checkpoints=(), questions_per_step=16)
    train_table(logits, answers_world, loss, config, seed=2, sets=True)
    g = groups_of_table(seen[0])
    found = torch.from_numpy(seen[0].decisions.answers.sum(1).reshape(g.rewards.shape))
    assert set(found.flatten().tolist()) == {0, 1, 2, 3}
    assert MultiRlvr()(g) == pytest.approx(found / 3)
    harmonic = torch.tensor([0.0, 1 / 3, 1.5 / 3, (1 + 1 / 2 + 1 / 3) / 3], dtype=torch.float64)
    # 100 draws of a maximum whose deviation is below .2; the mean over questions is closer
    assert Vpo(num_weights=4000)(g) == pytest.approx(harmonic[found], abs=0.02)
    flat = g.vectors.mean(-1, keepdim=True).expand_as(g.vectors)
    assert Vpo()(type(g)(g.question_ids, g.rewards, vectors=flat)) == pytest.approx(g.rewards / 3)
    assert [len(set(row)) > 1 for row in g.outcomes["answer"]].count(True) > 8
