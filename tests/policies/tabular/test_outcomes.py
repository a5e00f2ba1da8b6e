"""Exact outcomes of a tabular policy's episodes: by hand, against exact values, and against simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.policies.objectives.bonuses import OutcomeCounts
from berrypick.policies.objectives.registry import get_objective
from berrypick.policies.tabular.groups import groups_of_table
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities, play
from berrypick.policies.tabular.losses import objective_loss
from berrypick.policies.tabular.outcomes import outcomes_of
from berrypick.policies.tabular.training import TableConfig, train_table
from berrypick.policies.tabular.values import RowTable, exact_values


def two_kinds(present, budget):
    """One question of one hop with two kinds."""
    return KindWorld(np.array([[present]], bool), np.zeros(1, np.int64), budget, 1, ("a", "b"), (("fact",),))


def first_kind(world, chance):
    logits = np.zeros(world.table_shape)
    logits[..., 0] = math.log(chance / (1 - chance))
    return kind_probabilities(logits)


def test_one_query_by_hand():
    world = two_kinds([True, False], budget=1)
    found = outcomes_of(world, first_kind(world, 0.9))
    # evidence: kind a (.9) or nothing (.1); of two episodes 1 - .1^2 + 1 - .9^2
    assert found.distinct("evidence", 2)[0] == pytest.approx(0.99 + 0.19)
    assert found.distinct("answer", 2)[0] == pytest.approx(0.99 + 0.19)
    assert found.distinct("retrieval", 1)[0] == pytest.approx(1)
    assert found.solved(3)[0] == pytest.approx(1 - 0.1**3)
    assert found.possible("evidence").tolist() == [2]
    entropy = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert found.decision_entropy(np.array([True])) == pytest.approx(entropy)
    assert math.isnan(found.decision_entropy(np.array([False])))


def test_a_second_query_has_no_choice_and_halves_the_entropy_of_a_decision():
    world = two_kinds([False, False], budget=2)
    found = outcomes_of(world, first_kind(world, 0.9))
    entropy = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert found.decision_entropy(np.array([True])) == pytest.approx(entropy / 2)
    assert found.possible("evidence").tolist() == [1]
    assert found.distinct("retrieval", 8)[0] == pytest.approx(1)  # both records, in whatever order
    assert found.solved(8)[0] == 0


@pytest.mark.parametrize(("kinds", "hops", "budget"), [(3, 2, 2), (3, 2, 3), (4, 3, 3), (2, 1, 2)])
def test_outcomes_agree_with_exact_values_and_with_simulation(kinds, hops, budget):
    config = WorldConfig(
        availability=(0.5,) * kinds, hops=hops, budget=budget, num_train=12, num_validation=0, num_test=0, seed=4
    )
    world = KindWorld.of(build_world(config).questions("train"), "question")
    chances = kind_probabilities(np.random.default_rng(0).normal(size=world.table_shape))
    found = outcomes_of(world, chances)
    np.testing.assert_allclose(found.chances.sum(1), 1, atol=1e-12)
    size = len(world.table)
    each = RowTable(world.present, world.table, np.full(size, 1 / size), np.arange(size))
    values, success = exact_values(each, chances, budget, (1, 8))
    np.testing.assert_allclose(found.solved(1), success, atol=1e-12)
    assert found.solved(8).mean() == pytest.approx(values["pass@8"], abs=1e-12)
    groups = 3000
    asked = np.repeat(np.arange(size), groups * 8)
    played = play(world, chances, asked, np.random.default_rng(1).random((len(asked), budget)))
    for key, masks in zip(("retrieval", "evidence"), played.outcome_masks(kinds)):
        drawn = np.array([len(set(row)) for row in masks.reshape(-1, 8).tolist()]).reshape(size, groups)
        error = drawn.std(1) / math.sqrt(groups) + 1e-9
        assert (np.abs(drawn.mean(1) - found.distinct(key, 8)) < 4.5 * error).all()
    assert (found.possible("evidence") >= found.distinct("evidence", 1000) - 1e-9).all()


def batch_of(world, logits, group_size=8):
    """The episodes of one step, as a loss sees them."""
    seen = []

    def keep(batch):
        seen.append(batch)
        return batch.log_probs * 0

    config = TableConfig(questions_per_step=4, group_size=group_size, steps=1, checkpoints=(1,))
    train_table(logits, world, keep, config, seed=3)
    return seen[0]


def tight_world():
    config = WorldConfig(availability=(0.5,) * 3, budget=2, num_train=12, num_validation=0, num_test=0, seed=4)
    return KindWorld.of(build_world(config).questions("train"), "question")


def zero_logits(world):
    torch = pytest.importorskip("torch")
    return torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)


def test_own_tables_are_played_as_all_tables_together_would_be():
    world = tight_world()
    batch = batch_of(world, zero_logits(world))
    asked = np.repeat(batch.questions, 8)
    draws = np.random.default_rng((3, 5, 0)).random((len(asked), world.budget))
    whole = play(world, kind_probabilities(np.zeros(world.table_shape)), asked, draws)
    for name in ("states", "kinds", "live", "hops", "hit", "success"):
        np.testing.assert_array_equal(getattr(batch.decisions, name), getattr(whole, name))


def test_an_episode_without_an_answer_has_no_outcome_and_earns_no_bonus():
    world = tight_world()
    g = groups_of_table(batch_of(world, zero_logits(world)))
    for row, rewards in zip(g.outcomes["answer"], g.rewards.tolist()):
        assert [outcome is None for outcome in row] == [reward == 0 for reward in rewards]
    bonus = get_objective("ucb:key=answer,weight=1").advantages(g, OutcomeCounts()).bonus
    assert ((bonus > 0) == ((g.rewards > 0) & ~g.solved[:, None])).all()
    con = get_objective("ucb_con:key=answer,weight=1,offset=0.5").advantages(g, OutcomeCounts()).bonus
    assert (con[g.rewards == 0] <= 0).all()


def test_groups_that_are_all_right_have_no_bonus_and_groups_that_are_all_wrong_have():
    torch = pytest.importorskip("torch")
    g = groups_of_table(batch_of(tight_world(), zero_logits(tight_world())))
    rewards = torch.stack([torch.ones(8), torch.zeros(8), *g.rewards[2:].float()]).double()
    bonus = get_objective("batch:key=evidence").advantages(replace(g, rewards=rewards), OutcomeCounts()).bonus
    assert (bonus[0] == 0).all()
    evidence = g.outcomes["evidence"][1]
    expected = [-0.2 * (evidence.count(own) - 1) / 8 for own in evidence]
    assert bonus[1].tolist() == pytest.approx(expected)


def test_a_bonus_of_weight_zero_trains_as_grpo_to_the_same_bits():
    world = tight_world()
    config = TableConfig(questions_per_step=6, steps=6, learning_rate=20.0, checkpoints=(6,))
    ends = []
    for spec in ("grpo", "batch:weight=0,key=evidence", "ucb_con:weight=0,key=evidence"):
        ends.append(train_table(zero_logits(world), world, objective_loss(spec), config, seed=2)[6])
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])
    other = train_table(zero_logits(world), world, objective_loss("batch:key=evidence"), config, seed=2)[6]
    assert np.abs(other - ends[0]).max() > 1e-3
