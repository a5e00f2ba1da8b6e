"""Our objectives registered with the real verl give the advantages they give here, and verl's own where it has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from berrypick.policies.objectives import Groups, get_objective
from berrypick.policies.objectives.verl import REWARD_ONLY, register_in_verl, verl_estimator
from berrypick.retrieval_index.errors import BerrypickError

core_algos = pytest.importorskip("verl.trainer.ppo.core_algos")

REWARDS = torch.tensor([[1.0, 1, 0, 0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0, 0, 0, 1], [1.0] * 8])


def batch() -> tuple[torch.Tensor, torch.Tensor, np.ndarray, list[int]]:
    """24 responses of up to 5 tokens, groups interleaved."""
    order = np.random.default_rng(0).permutation(24).tolist()
    lengths = torch.arange(24) % 5 + 1
    mask = (torch.arange(5) < lengths[:, None]).float()
    rewards = torch.zeros(24, 5)
    rewards[torch.arange(24), lengths - 1] = REWARDS.flatten()[order]
    return rewards, mask, np.array([f"g{i // 8}" for i in order], dtype=object), order


@pytest.mark.parametrize("name", REWARD_ONLY)
def test_a_registered_objective_gives_our_advantages(name: str) -> None:
    rewards, mask, index, order = batch()
    (registered,) = register_in_verl(name)
    advantages, returns = core_algos.get_adv_estimator_fn(registered)(
        token_level_rewards=rewards, response_mask=mask, index=index, config=None
    )
    ours = get_objective(name).advantages(Groups(("a", "b", "c"), REWARDS.double())).base.flatten()[order]
    torch.testing.assert_close(advantages, ours.float()[:, None] * mask)
    assert torch.equal(advantages, returns)


@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("grpo", "grpo", {}),
        ("dr_grpo", "grpo", {"norm_adv_by_std_in_grpo": False}),
        ("rloo", "rloo", {}),
    ],
)
def test_our_estimate_equals_verls_own(name: str, theirs: str, options: dict[str, bool]) -> None:
    rewards, mask, index, _ = batch()
    ours, _ = verl_estimator(get_objective(name))(rewards, mask, index)
    peer, _ = core_algos.get_adv_estimator_fn(theirs)(
        token_level_rewards=rewards.clone(), response_mask=mask, index=index, **options
    )
    torch.testing.assert_close(ours, peer, atol=1e-5, rtol=1e-5)


def test_an_objective_that_needs_outcomes_says_so() -> None:
    with pytest.raises(BerrypickError, match="outcomes that verl does not pass on"):
        verl_estimator(get_objective("batch"))
