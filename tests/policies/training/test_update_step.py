"""What SFT, RL and DPO share: no dropout, and no step by a loss that is not finite."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from berrypick.envs.episode import Episode
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.batches import TokenRows
from berrypick.policies.language.episode_rows import rows_of
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.objectives import get_objective
from berrypick.policies.training.checkpoint import load_checkpoint, save_checkpoint
from berrypick.policies.training.preference import DpoConfig, dpo_update, preference_pairs
from berrypick.policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from berrypick.policies.training.rl_update import RlState
from berrypick.policies.training.sft import SftConfig, sft_batch, sft_optimizer, sft_update
from berrypick.policies.training.update_step import NonFiniteLossError

MakeBabbler = Callable[..., LanguageModelPolicy]
CONFIG = RlConfig(group_size=3, max_new_tokens=10, learning_rate=0.0)
DROPOUT = {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}


@pytest.fixture
def dropping(make_babbler_of: MakeBabbler) -> LanguageModelPolicy:
    """A model with dropout that comes in training mode."""
    policy = make_babbler_of("gpt2", **DROPOUT)
    return LanguageModelPolicy(policy.model.train(), policy.tokenizer, policy.policy_id)


def play(policy: LanguageModelPolicy, world: Task) -> list[list[Episode]]:
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    for group in groups:
        for episode, reward in zip(group, (1.0, 0.0, 0.0)):
            episode.reward = reward
    return groups


def rows(policy: LanguageModelPolicy, world: Task) -> TokenRows:
    return rows_of(policy, [episode for group in play(policy, world) for episode in group])


def weights_of(policy: LanguageModelPolicy) -> dict[str, Any]:
    return {name: value.clone() for name, value in policy.model.state_dict().items()}


def test_a_model_with_dropout_is_updated_without_it(dropping: LanguageModelPolicy, world: Task) -> None:
    groups, optimizer = play(dropping, world), rl_optimizer(dropping, CONFIG)
    one, two = (rl_update(dropping, optimizer, groups, get_objective("grpo"), CONFIG) for _ in range(2))
    assert one == two
    assert one["rl/kl_to_sampler_nats"] < 1e-8
    assert one["rl/clip_fraction"] == 0


def test_dpo_against_itself_is_ln_2_for_a_model_with_dropout(dropping: LanguageModelPolicy, world: Task) -> None:
    pairs = preference_pairs(play(dropping, world))
    optimizer = rl_optimizer(dropping, CONFIG)
    metrics = dpo_update(dropping, copy.deepcopy(dropping.model), optimizer, pairs, DpoConfig())
    assert metrics["dpo/loss"] == pytest.approx(math.log(2), abs=1e-12)


def test_a_model_with_dropout_resumes_to_the_bit(make_babbler_of: MakeBabbler, world: Task, tmp_path: Path) -> None:
    def fresh() -> tuple[LanguageModelPolicy, torch.optim.Optimizer]:
        policy = make_babbler_of("gpt2", **DROPOUT)
        return policy, sft_optimizer(policy, config)

    config = SftConfig(steps=3, batch_size=2)
    policy, optimizer = fresh()
    data = rows(policy, world)
    sft_update(policy, optimizer, sft_batch(data, policy, config, 0), config, 0)
    saved = save_checkpoint(tmp_path, policy, optimizer, {"phase": "sft", "step": 1})
    whole = sft_update(policy, optimizer, sft_batch(data, policy, config, 1), config, 1)
    torch.rand(7)  # another place in the global generator
    policy, optimizer = fresh()
    load_checkpoint(saved, policy, optimizer)
    assert sft_update(policy, optimizer, sft_batch(data, policy, config, 1), config, 1) == whole


def test_an_rl_loss_that_is_no_number_changes_nothing(make_babbler: MakeBabbler, world: Task) -> None:
    policy, state = make_babbler(), RlState()
    groups = play(policy, world)
    groups[0][0].reward = math.nan
    before = weights_of(policy)
    with pytest.raises(NonFiniteLossError, match="RL step 4: loss nan"):
        rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective("ucb"), CONFIG, step=3, state=state)
    assert all(torch.equal(value, before[name]) for name, value in weights_of(policy).items())
    assert state.state_dict() == RlState().state_dict()
    assert not policy.model.training


@pytest.mark.parametrize("procedure", ["SFT step 3", "DPO"])
def test_a_gradient_that_is_no_number_stops_before_the_weights_change(
    make_babbler: MakeBabbler, world: Task, procedure: str
) -> None:
    policy, reference = make_babbler(), make_babbler().model
    groups, optimizer = play(policy, world), sft_optimizer(policy, SftConfig())
    data = rows(policy, world)
    with torch.no_grad():
        policy.model.lm_head.weight[int(data.ids[0][data.masks[0]][0])] = torch.nan
    before = weights_of(policy)
    update: Callable[[], object] = {
        "SFT step 3": lambda: sft_update(policy, optimizer, data, SftConfig(), 2),
        "DPO": lambda: dpo_update(policy, reference, optimizer, preference_pairs(groups), DpoConfig()),
    }[procedure]
    with pytest.raises(NonFiniteLossError, match=f"{procedure}: loss nan.*lower learning rate"):
        update()
    assert all(np.array_equal(value, before[name], equal_nan=True) for name, value in weights_of(policy).items())
    assert not optimizer.state_dict()["state"]
