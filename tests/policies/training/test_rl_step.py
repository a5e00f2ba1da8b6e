"""One GRPO-family update against a reference written out by hand, in float64."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from berrypick.envs.episode import Episode
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.encoding import encode, encode_prompt
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.objectives.registry import get_objective
from berrypick.policies.scripted import scripted_policy
from berrypick.policies.training.rl import RlConfig, questions_of_step, rl_optimizer, rl_rollout, rl_update
from berrypick.retrieval_index.errors import BerrypickError

MakeBabbler = Callable[..., LanguageModelPolicy]
CONFIG = RlConfig(
    questions_per_step=3, group_size=4, max_new_tokens=10, max_tokens=400, max_grad_norm=1e9, learning_rate=1e-3
)
REWARDS = [[1.0, 0.0, 0.0, 0.5], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]]


def hand_advantages(name: str, rewards: Sequence[float], shown: Sequence[frozenset[str]]) -> list[float]:
    n = len(rewards)
    if name == "darling":
        apart = [sum(shown[j] != shown[i] for j in range(n)) / (n - 1) for i in range(n)]
        rewards = [r * max(d, 0.1) for r, d in zip(rewards, apart)]
    mean = sum(rewards) / n
    if name == "grpo":
        spread = statistics.stdev(rewards)
        return [0.0 if spread == 0 else (r - mean) / (spread + 1e-6) for r in rewards]
    return [r - mean for r in rewards]


def hand_loss(policy: LanguageModelPolicy, groups: Sequence[Sequence[Episode]], name: str) -> torch.Tensor:
    """Rollout by rollout and token by token, no batches, no padding."""
    terms = []
    for group in groups:
        advantages = hand_advantages(name, [e.reward for e in group], [e.shown_ids for e in group])
        for episode, advantage in zip(group, advantages):
            context = encode_prompt(policy.tokenizer, episode.question, episode.spec)
            written: list[tuple[int, float]] = []
            for turn in episode.turns:
                tokens = turn.draft.tokens
                written += [(len(context) + i, float(old)) for i, old in enumerate(tokens.log_probs)]
                context += tokens.ids.tolist() + encode(policy.tokenizer, turn.observation)
            log_p = torch.log_softmax(policy.model(torch.tensor([context])).logits[0], -1)
            for at, old in written:
                ratio = torch.exp(log_p[at - 1, context[at]] - old)
                terms.append(-torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage))
    return torch.stack(terms).sum() / len(terms)


@pytest.fixture(scope="module")
def groups(make_babbler: MakeBabbler, world: Task) -> list[list[Episode]]:
    groups = rl_rollout(make_babbler(), world.split("train")[:3], world.spec, world.searcher, CONFIG, 0)
    for group, rewards in zip(groups, REWARDS):
        for episode, reward in zip(group, rewards):
            episode.reward = reward
    return groups


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "darling"])
def test_loss_and_gradient_equal_a_hand_written_reference(
    make_babbler: MakeBabbler, groups: list[list[Episode]], name: str
) -> None:
    policy = make_babbler(dtype=torch.float64)
    loss = hand_loss(policy, groups, name)
    loss.backward()
    expected = {key: value.grad.clone() for key, value in policy.model.named_parameters()}
    metrics = rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective(name), CONFIG)
    assert metrics["rl/loss"] == pytest.approx(loss.item(), rel=1e-6)
    size = torch.sqrt(sum((grad**2).sum() for grad in expected.values()))
    assert metrics["rl/grad_norm"] == pytest.approx(size.item(), rel=1e-6)
    for key, value in policy.model.named_parameters():
        assert float((value.grad - expected[key]).norm()) <= 1e-6 * size.item(), key


@pytest.mark.parametrize("name", ["grpo", "dr_grpo"])
def test_rollouts_that_are_the_same_token_for_token_share_a_forward_and_keep_their_own_advantages(
    make_babbler: MakeBabbler, groups: list[list[Episode]], name: str
) -> None:
    first, *others = groups[0]
    same = [first, dataclasses.replace(first, reward=0.25), *others]
    apart = make_babbler(dtype=torch.float64)
    loss = hand_loss(apart, [same], name)
    loss.backward()
    policy = make_babbler(dtype=torch.float64)
    rows: list[int] = []
    policy.model.get_input_embeddings().register_forward_hook(lambda _, ids, __: rows.append(len(ids[0])))
    metrics = rl_update(policy, rl_optimizer(policy, CONFIG), [same], get_objective(name), CONFIG)
    assert sum(rows) == len(same) - 1
    assert metrics["rl/loss"] == pytest.approx(loss.item(), rel=1e-6)
    for (key, value), (_, expected) in zip(policy.model.named_parameters(), apart.model.named_parameters()):
        assert float((value.grad - expected.grad).norm()) <= 1e-6 * metrics["rl/grad_norm"], key


def test_off_policy_ratios_are_clipped_in_the_direction_of_the_advantage(
    make_babbler: MakeBabbler, groups: list[list[Episode]]
) -> None:
    policy = make_babbler(dtype=torch.float64)
    with torch.no_grad():
        policy.model.lm_head.weight.mul_(1.5)
    loss = hand_loss(policy, groups, "grpo")
    metrics = rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective("grpo"), CONFIG)
    assert metrics["rl/loss"] == pytest.approx(loss.item(), rel=1e-6)
    assert 0 < metrics["rl/clip_fraction"] < 1
    assert metrics["rl/kl_to_sampler_nats"] > 1e-4


def test_the_size_of_micro_batches_changes_nothing(make_babbler: MakeBabbler, groups: list[list[Episode]]) -> None:
    losses, weights = [], []
    for max_tokens in (1, 150, 100_000):
        policy = make_babbler(dtype=torch.float64)
        config = dataclasses.replace(CONFIG, max_tokens=max_tokens)
        losses.append(rl_update(policy, rl_optimizer(policy, config), groups, get_objective("grpo"), config)["rl/loss"])
        weights.append(policy.model.lm_head.weight.detach().clone())
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-9)
    for weight in weights[1:]:
        torch.testing.assert_close(weight, weights[0], rtol=1e-7, atol=1e-9)


def test_groups_of_equal_rewards_move_no_weight(make_babbler: MakeBabbler, groups: list[list[Episode]]) -> None:
    policy = make_babbler()
    before = {key: value.clone() for key, value in policy.model.state_dict().items()}
    metrics = rl_update(policy, rl_optimizer(policy, CONFIG), groups[1:2], get_objective("grpo"), CONFIG)
    assert metrics["rl/grad_norm"] == 0
    assert all(torch.equal(value, before[key]) for key, value in policy.model.state_dict().items())


def test_on_policy_the_ratio_is_one(make_babbler: MakeBabbler, groups: list[list[Episode]]) -> None:
    policy = make_babbler()
    metrics = rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective("grpo"), CONFIG)
    assert metrics["rl/clip_fraction"] == 0
    assert metrics["rl/kl_to_sampler_nats"] < 1e-8
    sampled = np.concatenate([t.draft.tokens.entropies for g in groups for e in g for t in e.turns])
    assert metrics["rl/token_entropy_nats"] == pytest.approx(float(sampled.mean()), abs=1e-4)
    assert metrics["rl/policy_tokens"] == len(sampled)


def test_an_epoch_asks_every_question_once(world: Task) -> None:
    config = dataclasses.replace(CONFIG, questions_per_step=2)
    ids = [[q.id for q in questions_of_step(world.split("train"), config, step)] for step in range(8)]
    everything = {question.id for question in world.split("train")}
    assert {i for step in ids[:4] for i in step} == everything == {i for step in ids[4:] for i in step}
    assert ids[:4] != ids[4:]


def test_no_step_asks_a_question_twice_when_the_batch_does_not_divide_the_set(world: Task) -> None:
    config = dataclasses.replace(CONFIG, questions_per_step=3)
    for step in range(10):
        ids = [question.id for question in questions_of_step(world.split("train"), config, step)]
        assert len(set(ids)) == 3


def test_a_policy_without_exact_tokens_is_not_trained(world: Task) -> None:
    with pytest.raises(BerrypickError, match="evaluated, not trained"):
        rl_rollout(scripted_policy("oracle"), world.split("train")[:1], world.spec, world.searcher, CONFIG, 0)


def test_the_divergence_from_the_sampler_is_a_mean_over_the_rollouts_that_have_a_gradient(
    make_babbler: MakeBabbler, groups: list[list[Episode]]
) -> None:
    def kl(chosen: list[list[Episode]]) -> float:
        policy = make_babbler(dtype=torch.float64)
        with torch.no_grad():
            policy.model.lm_head.weight.mul_(1.1)
        metrics = rl_update(policy, rl_optimizer(policy, CONFIG), chosen, get_objective("grpo"), CONFIG)
        return metrics["rl/kl_to_sampler_nats"]

    silent, live = groups[1], groups[0]
    assert kl([live, silent]) == pytest.approx(kl([live]), rel=1e-6)
    assert kl([live]) > 1e-4
    assert kl([silent]) == 0


@pytest.mark.parametrize("name", ["grpo", "entropy", "kl_cov"])
def test_rollouts_that_wrote_nothing_are_dealt_to_no_mini_batch(
    make_babbler: MakeBabbler, world: Task, name: str
) -> None:
    policy, (first, second) = make_babbler(), world.split("train")[:2]
    endless = dataclasses.replace(second, text=second.text + " ledger founder kizunba" * 200)
    config = dataclasses.replace(CONFIG, group_size=2, mini_batches=4)
    groups = rl_rollout(policy, [first, endless], world.spec, world.searcher, config, 0)
    assert not any(len(turn.draft.tokens.ids) for episode in groups[1] for turn in episode.turns)
    optimizer = rl_optimizer(policy, config)
    metrics = rl_update(policy, optimizer, groups, get_objective(name), config)
    assert all(np.isfinite(value) for value in metrics.values())
    assert {int(slots["step"]) for slots in optimizer.state_dict()["state"].values()} == {2}
