"""Estimates of 0/1 rewards against the gradients they stand for, by enumeration of all outcomes of a group."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from berrypick.policies.objectives import Groups, get_objective
from berrypick.policies.objectives.verl import REWARD_ONLY, register_in_verl, verl_estimator
from berrypick.retrieval_index.errors import BerrypickError, MissingExtraError
from hypothesis import given, settings
from hypothesis import strategies as st

GROUP = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=8)


def advantages(spec: str, rewards: list[float] | torch.Tensor) -> torch.Tensor:
    """Advantages [Q, G] of groups of rewards, [G] or [Q, G]."""
    table = torch.as_tensor(rewards, dtype=torch.float64)
    table = table[None] if table.ndim == 1 else table
    return get_objective(spec).advantages(Groups(tuple(map(str, range(len(table)))), table)).base


def pass_at(k: int) -> Callable[[float], float]:
    """The derivative of 1 - (1 - p)^k with respect to the logit of p."""
    return lambda p: k * (1 - p) ** (k - 1) * p * (1 - p)


def expected_update(spec: str, p: float, n: int) -> float:
    """E[mean_i A_i grad log pi(y_i)] of n rollouts of a policy that succeeds with chance p = sigmoid(logit)."""
    outcomes = torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=torch.float64)
    scores = outcomes - p  # of a Bernoulli variable, with respect to its logit
    chances = (outcomes * p + (1 - outcomes) * (1 - p)).prod(dim=1)
    return float((chances * (advantages(spec, outcomes) * scores).mean(dim=1)).sum())


@pytest.mark.parametrize("n", [2, 3, 5, 8])
@pytest.mark.parametrize("p", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("weight", [0, 0.3, 1])
@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_pass_mix_is_an_unbiased_gradient_of_the_mixture(n: int, p: float, weight: float, k: int) -> None:
    wanted = weight * pass_at(1)(p) + (1 - weight) * pass_at(min(k, n))(p)
    assert expected_update(f"pass_mix:weight={weight},k={k}", p, n) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("n", [3, 6])
@pytest.mark.parametrize("p", [0.2, 0.7])
def test_what_the_others_stand_for_in_expectation(n: int, p: float) -> None:
    def update(spec: str) -> float:
        return expected_update(spec, p, n)

    assert update("rloo") == pytest.approx(pass_at(1)(p), abs=1e-12)
    assert update("dr_grpo") == pytest.approx((n - 1) / n * pass_at(1)(p), abs=1e-12)
    assert update("pass_at_k:k=2,std=none") == pytest.approx((n - 2) / (2 * n) * pass_at(2)(p), abs=1e-12)
    assert update("correct_only") == pytest.approx((n - 1) / (2 * n) * pass_at(2)(p), abs=1e-12)
    assert update("unsolved_only") == pytest.approx(pass_at(n - 1)(p) / n, abs=1e-12)


def test_the_gradient_also_holds_for_a_softmax_policy_by_simulation() -> None:
    """Four answers, two of them right, so that grad p is a vector and right rollouts differ."""
    logits = torch.tensor([0.5, -0.3, 0.8, 0.0], dtype=torch.float64, requires_grad=True)
    chances = torch.softmax(logits, 0)
    p = chances[:2].sum()
    (wanted,) = torch.autograd.grad(0.4 * p + 0.6 * (1 - (1 - p) ** 3), logits, retain_graph=True)
    draws = torch.from_numpy(np.random.default_rng(0).choice(4, (50_000, 5), p=chances.detach().numpy()))
    scores = torch.nn.functional.one_hot(draws, 4) - chances.detach()
    credit = advantages("pass_mix:weight=0.4,k=3", (draws < 2).double())
    updates = (credit[..., None] * scores).mean(dim=1)
    error = updates.std(dim=0) / math.sqrt(len(draws))
    assert bool(((updates.mean(dim=0) - wanted).abs() < 4 * error).all())
    assert float(wanted.abs().min()) > 8 * float(error.max())


def test_credits_by_hand() -> None:
    # n 4, k 2, one right: alone it saves each of its sets; 2 of 3 sets of the others fail when one of them is right
    assert advantages("pass_mix:weight=0,k=2", [1, 0, 0, 0]).tolist()[0] == pytest.approx([2, -2 / 3, -2 / 3, -2 / 3])
    # two right: a right one saves 2 of its 3 sets, and of the 3 sets without it 1 fails: 2 (2/3 - 1/3)
    assert advantages("pass_mix:weight=0,k=2", [1, 1, 0, 0]).tolist()[0] == pytest.approx(
        [2 / 3, 2 / 3, -2 / 3, -2 / 3]
    )
    assert advantages("pass_mix:weight=0,k=4", [1, 0, 0, 0]).tolist() == [[4, 0, 0, 0]]
    assert advantages("pass_mix:weight=0,k=4", [1, 1, 0, 0]).tolist() == [[0, 0, 0, 0]]
    assert advantages("pass_at_k:k=2,std=none", [1, 0, 0, 0]).tolist()[0] == pytest.approx([1 / 2] + [-1 / 6] * 3)
    assert advantages("correct_only", [1, 0, 0, 1]).tolist() == [[0.5, 0, 0, 0.5]]
    assert advantages("unsolved_only:most=1", [[1, 0, 0, 1], [1, 0, 0, 0]]).tolist() == [
        [0, 0, 0, 0],
        [0.75, -0.25, -0.25, -0.25],
    ]


@settings(max_examples=80, deadline=None)
@given(GROUP, st.integers(1, 9))
def test_pass_mix_follows_its_definition(rewards: list[float], k: int) -> None:
    """Against the mean over k-sets with and without a rollout, from step 2 of the derivation."""
    n, k = len(rewards), min(k, len(rewards))
    got = advantages(f"pass_mix:weight=0,k={k}", rewards).tolist()[0]
    if n == 1:
        assert got == [0]
        return
    for i, reward in enumerate(rewards):
        others = [value for j, value in enumerate(rewards) if j != i]
        within = np.mean([max(reward, *subset, 0) for subset in itertools.combinations(others, k - 1)])
        if k < n:
            wanted = k * (within - np.mean([max(subset) for subset in itertools.combinations(others, k)]))
        else:
            wanted = k * (within - max(others))
        assert got[i] == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(GROUP, st.integers(1, 8))
def test_pass_mix_rloo_and_the_published_pass_at_k(rewards: list[float], k: int) -> None:
    n = len(rewards)
    rloo = advantages("rloo", rewards)
    assert torch.equal(advantages(f"pass_mix:weight=1,k={k}", rewards), rloo)
    torch.testing.assert_close(advantages("pass_mix:weight=0,k=1", rewards), rloo)
    halves = advantages("pass_mix:weight=0.5,k=2", rewards)
    torch.testing.assert_close(halves, 0.5 * rloo + 0.5 * advantages("pass_mix:weight=0,k=2", rewards))
    undivided = advantages(f"pass_at_k:k={k},std=none", rewards)
    if k < n:
        credit = advantages(f"pass_mix:weight=0,k={k}", rewards)
        torch.testing.assert_close(credit, k * n / (n - k) * undivided, atol=1e-12, rtol=1e-12)
        assert float(credit.sum()) == pytest.approx(0, abs=1e-12)
        best = advantages(f"max_at_k:k={k},centred=true", rewards)
        torch.testing.assert_close(best, k / n * undivided, atol=1e-12, rtol=1e-12)
    else:
        assert float(undivided.abs().max()) == 0


@settings(max_examples=40, deadline=None)
@given(GROUP, st.integers(1, 8))
def test_the_published_division_only_rescales_a_group(rewards: list[float], k: int) -> None:
    divided, plain = (advantages(f"pass_at_k:k={k}{std}", rewards) for std in ("", ",std=none"))
    assert torch.equal(divided, advantages(f"pass_at_k:k={k},std=group", rewards))
    n, wrong = len(rewards), rewards.count(0.0)
    missed = math.comb(wrong, min(k, n)) / math.comb(n, min(k, n))
    torch.testing.assert_close(divided * (math.sqrt(missed * (1 - missed)) + 1e-6), plain)


@settings(max_examples=40, deadline=None)
@given(GROUP, st.integers(1, 8))
def test_correct_only_and_unsolved_only_select_from_dr_grpo(rewards: list[float], most: int) -> None:
    whole, right = advantages("dr_grpo", rewards), torch.tensor([rewards]) == 1
    kept = advantages("correct_only", rewards)
    assert torch.equal(kept[right], whole[right])
    assert not kept[~right].any()
    gated = advantages(f"unsolved_only:most={most}", rewards)
    assert torch.equal(gated, whole if sum(rewards) <= most else torch.zeros_like(whole))


def test_right_is_what_the_groups_say_and_not_the_reward() -> None:
    rewards = torch.tensor([[0.5, 0.2, 0.0]], dtype=torch.float64)
    g = Groups(("q",), rewards, correct=torch.tensor([[True, False, True]]))
    base = get_objective("correct_only").advantages(g).base
    assert base.tolist()[0] == pytest.approx([0.5 - 0.7 / 3, 0, -0.7 / 3])
    assert not get_objective("unsolved_only:most=1").advantages(g).base.any()


@pytest.mark.parametrize(
    "spec", ["pass_mix:weight=0.3,k=2", "pass_at_k:k=2,std=none", "correct_only", "unsolved_only:most=2"]
)
def test_verl_passes_enough_for_them(spec: str) -> None:
    rewards = torch.tensor([[1.0, 1, 0, 0], [0.0, 1, 0, 0]])
    order = [3, 6, 0, 5, 1, 4, 7, 2]
    tokens = torch.stack([torch.zeros(8), rewards.flatten()[order]], dim=1)
    index = np.array([f"g{i // 4}" for i in order], dtype=object)
    found, returns = verl_estimator(get_objective(spec))(tokens, torch.ones(8, 2), index)
    wanted = advantages(spec, rewards).flatten()[order].float()
    torch.testing.assert_close(found, wanted[:, None].expand(8, 2))
    assert torch.equal(found, returns)
    assert bool(found.any())


def test_verl_s_rewards_are_summed_over_tokens_and_spread_over_the_response() -> None:
    tokens = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found, _ = verl_estimator(get_objective("rloo"))(tokens, mask, ["g", "g"])
    assert found.tolist() == [[1, 1, 0], [-1, 0, 0]]


def test_all_objectives_on_rewards_are_registered_in_verl_unless_some_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: dict[str, Callable[..., object]] = {}

    def register_adv_est(name: str) -> Callable[[Callable[..., object]], None]:
        return lambda estimator: taken.update({name: estimator})

    for module in ("verl", "verl.trainer", "verl.trainer.ppo", "verl.trainer.ppo.core_algos"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setattr(sys.modules["verl.trainer.ppo.core_algos"], "register_adv_est", register_adv_est, raising=False)
    assert register_in_verl() == list(taken) == [f"berrypick_{name}" for name in REWARD_ONLY]
    assert register_in_verl("max_at_k:k=2", "rloo") == ["berrypick_max_at_k:k=2", "berrypick_rloo"]
    found, _ = taken["berrypick_max_at_k:k=2"](torch.tensor([[1.0], [0.0], [0.0]]), torch.ones(3, 1), ["g"] * 3)
    torch.testing.assert_close(found[:, 0].double(), advantages("max_at_k:k=2", [1, 0, 0])[0], check_dtype=False)


def test_verl_is_refused_what_it_does_not_pass_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BerrypickError, match="outcomes that verl does not pass on; choose one of grpo, dr_grpo"):
        verl_estimator(get_objective("batch:weight=0.5"))
    monkeypatch.setitem(sys.modules, "verl", None)
    with pytest.raises(MissingExtraError, match="verl"):
        register_in_verl()
