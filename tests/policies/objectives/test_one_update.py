"""Objectives that are plain GRPO at one update per step: which they are, and that trainers say so."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import pytest
import torch
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.objectives import OBJECTIVES, get_objective
from berrypick.policies.objectives.losses import StepTokens, TokenBatch
from berrypick.policies.tabular import TabularConfig, train_tabular
from berrypick.policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from torch import Tensor

M = 200
WARNING = "is plain GRPO at one update per step, where all probability ratios are 1; set epochs to 2 or more"


def loss_and_gradient(spec: str, drift: float) -> tuple[Tensor, Tensor]:
    """Loss and its gradient, [M] each, for tokens whose log-probabilities have moved by `drift` nats or less."""
    draws = torch.Generator().manual_seed(0)
    old = -torch.rand(M, dtype=torch.float64, generator=draws) * 4
    advantages, moves = (torch.randn(M, dtype=torch.float64, generator=draws) for _ in range(2))
    new = (old + drift * moves.tanh()).requires_grad_()
    batch = TokenBatch(StepTokens(old, advantages, seed=1), torch.arange(M), new, -old, old)
    loss, _ = get_objective(spec).token_loss(batch)
    (gradient,) = torch.autograd.grad(loss.sum(), new)
    return loss.detach(), gradient


@pytest.mark.parametrize("spec", ["clip_higher", "kl_cov:fraction=0.1", "clip_cov:fraction=0.1,low=0.2"])
def test_only_those_that_are_plain_grpo_at_ratios_of_one_ask_for_more_updates(spec: str) -> None:
    def equals_grpo(drift: float) -> bool:
        pairs = zip(loss_and_gradient(spec, drift), loss_and_gradient("grpo", drift))
        return all(torch.allclose(ours, grpo) for ours, grpo in pairs)

    assert equals_grpo(0.0) == (get_objective(spec).min_updates == 2)
    assert not equals_grpo(0.5)


def test_no_other_objective_asks_for_more_than_one_update() -> None:
    assert {name for name in OBJECTIVES if get_objective(name).min_updates > 1} == {"clip_higher", "kl_cov"}


@pytest.mark.parametrize(
    ("spec", "epochs", "warned"),
    [("clip_higher", 1, True), ("kl_cov", 1, True), ("clip_higher", 2, False), ("clip_cov", 1, False)],
)
def test_the_tabular_trainer_warns_once(spec: str, epochs: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    world = {"num_train": 16, "num_validation": 0, "num_test": 8}
    config = TabularConfig(objective=spec, world=world, steps=3, questions_per_step=4, ks=(1,), epochs=epochs)
    with caplog.at_level(logging.WARNING):
        train_tabular(config)
    assert caplog.messages == ([f"objective {spec} {WARNING}"] if warned else [])


def test_two_updates_of_the_tabular_policy_differ_from_one() -> None:
    config = TabularConfig(world={"num_train": 16, "num_test": 8}, steps=2, questions_per_step=4, ks=(1,))
    once, twice = (train_tabular(dataclasses.replace(config, epochs=epochs)).logits for epochs in (1, 2))
    assert not (once == twice).all()


@pytest.mark.parametrize(("changes", "warned"), [({}, True), ({"epochs": 2}, False), ({"mini_batches": 2}, False)])
def test_the_language_model_trainer_warns_at_its_first_step(
    make_babbler: Callable[..., LanguageModelPolicy],
    world: Task,
    changes: dict[str, int],
    warned: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = RlConfig("clip_higher", questions_per_step=2, group_size=2, max_new_tokens=6, **changes)
    policy, objective = make_babbler(), get_objective(config.objective)
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, config, 0)
    optimizer = rl_optimizer(policy, config)
    with caplog.at_level(logging.WARNING):
        for step in range(2):
            rl_update(policy, optimizer, groups, objective, config, step=step)
    assert caplog.messages == ([f"objective clip_higher {WARNING}"] if warned else [])
