"""DPO of the tabular policy: its gradient by hand, its reference, its pairs, and what it shares with Dr. GRPO."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.policies.objectives.pairs import dpo_losses, pair_places
from berrypick.policies.tabular.kinds import KindWorld
from berrypick.policies.tabular.losses import objective_loss
from berrypick.policies.tabular.preference import dpo_loss
from berrypick.policies.tabular.training import TableConfig, train_table


def coin_world():
    """One question of one hop and one query: kind a answers it, kind b does not."""
    return KindWorld(np.array([[[True, False]]]), np.zeros(1, np.int64), 1, 1, ("a", "b"), (("fact",),))


def steps_of(loss, renew, beta, steps=6, rate=0.3):
    """The gap of both logits after each step, beside what the formula says; steps without a pair change nothing."""
    world = coin_world()
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    config = TableConfig(questions_per_step=1, learning_rate=rate, steps=steps, checkpoints=tuple(range(steps + 1)))
    mixed = []

    def seen(batch):
        mixed.append(bool(0 < batch.rewards.sum() < batch.rewards.numel()))
        return loss(batch)

    saved = train_table(logits, world, seen, config, seed=4, renew=renew)
    found = [saved[step][0, 0, 0, 1, 0] - saved[step][0, 0, 0, 1, 1] for step in range(steps + 1)]
    expected, reference = [0.0], 0.0
    for step in range(steps):
        now = expected[-1]
        if step % renew == 0:
            reference = now
        # log pi(a) - log pi(b) is the gap; d/dgap of -log sigmoid(beta (gap - reference)) / beta, felt by both logits
        push = 1 / (1 + math.exp(beta * (now - reference)))
        expected.append(now + 2 * rate * push * mixed[step])
    assert sum(mixed) >= 4
    return found, expected


@pytest.mark.parametrize("renew", [1, 2, 6])
@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_updates_follow_the_gradient_worked_out_by_hand(renew, beta):
    found, expected = steps_of(dpo_loss(beta), renew, beta)
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_first_update_is_as_long_for_every_beta_and_later_ones_saturate():
    small, large = (steps_of(dpo_loss(beta), 6, beta)[0] for beta in (0.1, 5.0))
    first = next(at for at, gap in enumerate(small) if gap)
    assert small[first] == pytest.approx(large[first])
    assert small[-1] > large[-1]


def batch_of(preset="steep", renew=1, loss=None, steps=1):
    """The last of some steps, as its loss sees it."""
    world = KindWorld.of(build_world(WorldConfig.from_preset(preset, num_train=32)).questions("train"))
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    batches = []

    def seen(batch):
        batches.append(batch)
        return (loss or dpo_loss(0.1))(batch)

    train_table(logits, world, seen, TableConfig(steps=steps, checkpoints=(steps,)), seed=2, renew=renew)
    return batches, logits


def test_of_all_pairs_with_a_new_reference_the_gradient_is_that_of_dr_grpo_times_a_number():
    found = {}
    for name, loss in (("dpo", dpo_loss(0.7, per_question=64)), ("dr_grpo", objective_loss("dr_grpo"))):
        world = KindWorld.of(build_world(WorldConfig.from_preset("steep", num_train=32)).questions("train"))
        logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
        seen = []

        def keep(batch, loss=loss, seen=seen):
            seen.append(batch.rewards)
            return loss(batch)

        config = TableConfig(steps=1, learning_rate=1.0, checkpoints=(1,))
        found[name] = train_table(logits, world, keep, config, seed=2)[1]
    right = seen[0].sum(1)
    pairs = float((right * (8 - right)).sum())
    np.testing.assert_allclose(found["dpo"], found["dr_grpo"] * (128 * 8 / (2 * pairs)), atol=1e-12)
    assert np.abs(found["dpo"]).max() > 0.01


def test_the_policy_of_a_round_plays_it_and_is_its_reference():
    batches, _ = batch_of(renew=3, steps=5)
    for at, batch in enumerate(batches):
        moved = not torch.equal(batch.log_probs.detach(), batch.old_log_probs)
        assert moved == (at not in (0, 3))
    # nothing has been learnt in the even start that plays the first three steps
    first_queries = batches[2].old_log_probs[batches[2].episode.diff(prepend=torch.tensor([-1])) > 0]
    assert torch.allclose(first_queries, torch.tensor(-math.log(3), dtype=torch.float64))


def test_pairs_are_a_success_and_a_failure_of_one_question():
    rewards = [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    assert sorted(pair_places(rewards, per_question=9)) == [(0, 0, 1), (0, 0, 2), (3, 1, 0), (3, 2, 0)]
    one = pair_places(rewards, seed=5)
    assert [place[0] for place in one] == [0, 3] and one == pair_places(rewards, seed=5)
    drawn = {pair_places(rewards, seed=seed)[0] for seed in range(30)}
    assert drawn == {(0, 0, 1), (0, 0, 2)}


def test_a_step_without_a_pair_moves_nothing():
    world = KindWorld(np.array([[[True, True]]]), np.zeros(1, np.int64), 1, 1, ("a", "b"), (("fact",),))
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    config = TableConfig(questions_per_step=1, steps=3, checkpoints=(3,))
    assert not train_table(logits, world, dpo_loss(0.1), config, seed=0)[3].any()


def test_the_loss_by_hand():
    better, worse = torch.tensor([0.4, 0.0]), torch.tensor([-0.6, 0.0])
    expected = [math.log(1 + math.exp(-2.0)), math.log(2)]
    assert dpo_losses(better, worse, 2.0).tolist() == pytest.approx(expected)
