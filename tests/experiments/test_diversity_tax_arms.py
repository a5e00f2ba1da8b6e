"""The arms: advantages against published vectors and enumeration, losses against their definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from berrypick.envs.world import WorldConfig, build_world
from berrypick.experiments.diversity_tax_advantages import Lexical, MaxAtK, OutcomeBonus, PassAtK
from berrypick.experiments.diversity_tax_arms import ARMS
from berrypick.experiments.kind_table import KindWorld, kind_probabilities
from berrypick.experiments.kind_table_training import (
    TableConfig,
    demonstration_order,
    groups_of_table,
    imitate,
    train_table,
)
from berrypick.policies.objectives.estimates import Grpo
from berrypick.policies.objectives.groups import Groups

ANSWERS = ["A", "A", "B", "B", "B", "C", "D", "E"]
REWARDS = [1.0, 1, 0, 0, 0, 0, 0, 0]


def group(rewards=REWARDS, outcomes=ANSWERS, queries=()):
    return Groups(("q",), torch.tensor([rewards], dtype=torch.float64), {"answer": [outcomes]}, [queries])


def near(values, expected):
    # the published vectors have five digits and no epsilon in the divisor
    assert values.reshape(-1).tolist() == pytest.approx(expected, abs=5e-5)


def test_the_published_vectors():
    g = group()
    near(PassAtK(4)(g, g.rewards), [0.52223] * 2 + [-0.17408] * 6)
    near(MaxAtK(4)(g), [0.5] * 2 + [0.357143] * 6)
    near(Grpo()(g, MaxAtK(4)(g)), [1.62019] * 2 + [-0.54006] * 6)
    near(OutcomeBonus("batch", "answer")(g), [-0.125] * 2 + [-0.25] * 3 + [0] * 3)


def test_ucb_reads_counts_before_it_adds_to_them():
    bonus, g = OutcomeBonus("ucb_con", "answer", constant=0.0), group()
    near(bonus(g), [1] * 8)
    near(bonus(g), [0.70711] * 2 + [0.57735] * 3 + [1] * 3)
    centred = OutcomeBonus("ucb_mean", "answer")
    centred(g)
    near(centred(g), [-0.06992] * 2 + [-0.21821] * 3 + [0.26482] * 3)


def test_groups_that_are_all_right_get_no_bonus_and_all_wrong_ones_do():
    assert not OutcomeBonus("batch", "answer")(group(rewards=[1.0] * 8)).any()
    assert OutcomeBonus("batch", "answer")(group(rewards=[0.0] * 8)).any()


def test_a_shuffled_bonus_has_the_same_values_on_other_rollouts():
    plain, shuffled = OutcomeBonus("batch", "answer")(group()), OutcomeBonus("batch", "answer", shuffled=True)(group())
    assert sorted(plain[0].tolist()) == sorted(shuffled[0].tolist())
    assert plain.tolist() != shuffled.tolist()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_max_at_k_weights_sum_to_k_times_the_best_of_k_over_all_subsets(k):
    rewards = [0.3, 0.0, 0.9, 0.5]
    best = np.mean([max(subset) for subset in itertools.combinations(rewards, k)])
    # each rollout gets, for the subsets it is in, its share of C(n, k): the gradient weight of E[max]
    total = [
        sum(max(s) for s in itertools.combinations(rewards, k) if value in s) / math.comb(4, k) for value in rewards
    ]
    assert sum(total) == pytest.approx(k * best)
    near(MaxAtK(k)(group(rewards=rewards, outcomes=list("abcd"))), total)


def test_max_at_k_does_not_depend_on_the_order_of_equal_rewards():
    left = MaxAtK(3)(group(rewards=[1.0, 0, 0, 1], outcomes=list("abcd")))
    right = MaxAtK(3)(group(rewards=[0.0, 1, 1, 0], outcomes=list("abcd")))
    assert left[0, [0, 3, 1, 2]].tolist() == pytest.approx(right[0, [1, 2, 0, 3]].tolist())


def test_lexical_rewards_the_share_of_n_grams_that_no_sibling_wrote():
    queries = [("a b c",), ("a b d",), ("x y",)]
    shaped = Lexical(2)(group(rewards=[1.0, 1, 0], outcomes=list("abc"), queries=queries))
    near(shaped, [0.5, 0.5, 0])
    near(Lexical(4)(group(rewards=[1.0, 1, 1], outcomes=list("abc"), queries=queries)), [0, 0, 0])


@pytest.fixture(scope="module")
def world():
    config = WorldConfig.from_preset("priced", num_train=32, num_validation=0, num_test=0)
    return KindWorld.of(build_world(config).questions("train"))


QUICK = TableConfig(questions_per_step=8, group_size=4, sft_steps=30, steps=4, checkpoints=(0, 2, 4), learning_rate=1.0)


def trained(world, arm, *, strength=None, seed=0, config=QUICK):
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    chosen = ARMS[arm]
    loss = chosen.loss(chosen.middle[0] if strength is None else strength)
    return train_table(logits, world, loss, chosen.table(config), seed=seed, rewards=chosen.rewards)


@pytest.mark.parametrize("arm", [name for name, arm in ARMS.items() if not arm.imitation])
def test_every_arm_trains_repeatably_and_stays_finite(world, arm):
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
        assert [len(text) for text in g.queries[q]] == [len(s) for s in shown]
