"""The strengths of DARLING, its additive form, and its random control of equal length."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from berrypick.policies.objectives import Groups, get_objective
from berrypick.policies.objectives.trl import _groups, completion_outcomes
from hypothesis import given, settings
from hypothesis import strategies as st

ROLLOUTS = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from("abc")), min_size=1, max_size=8)


def group(rewards: list[float], labels: str | list[str], seed: int = 3) -> Groups:
    table = torch.tensor([rewards], dtype=torch.float64)
    return Groups(("q",), table, {key: [list(labels)] for key in ("retrieval", "evidence")}, seed=seed)


def drawn(items: list[tuple[float, str]]) -> Groups:
    return group([reward for reward, _ in items], [label for _, label in items])


def shaped(spec: str, g: Groups) -> list[float]:
    return get_objective(spec).shape(g).tolist()[0]


def test_strengths_by_hand() -> None:
    g = group([1, 1, 1, 0, 1], "aaabc")  # diversity: 2/4, 2/4, 2/4, 1, 1
    assert shaped("darling", g) == [0.5, 0.5, 0.5, 0, 1]
    assert shaped("darling:power=2", g) == [0.25, 0.25, 0.25, 0, 1]
    assert shaped("darling:power=4", g) == [0.1, 0.1, 0.1, 0, 1]  # 1/16 is below the floor
    assert shaped("darling_oracle:power=2", g) == [0.25, 0.25, 0.25, 0, 1]
    assert shaped("darling_additive", g) == [1.25, 1.25, 1.25, 0, 1.5]
    assert shaped("darling_additive:weight=2", g) == [2, 2, 2, 0, 3]


@settings(max_examples=50, deadline=None)
@given(ROLLOUTS, st.floats(0.5, 6), st.floats(0.1, 3))
def test_no_strength_is_dr_grpo_and_more_strength_only_lowers_the_crowded(
    items: list[tuple[float, str]], power: float, more: float
) -> None:
    g = drawn(items)
    for none in ("darling:power=0", "darling_additive:weight=0"):
        assert shaped(none, g) == g.rewards.tolist()[0]
    weak, strong = (shaped(f"darling:power={exponent},floor=0", g) for exponent in (power, power + more))
    assert all(a >= b for a, b in zip(weak, strong))
    one, two = (shaped(f"darling_additive:weight={weight}", g) for weight in (more, more + 1))
    assert all(reward <= a <= b for reward, a, b in zip(g.rewards.tolist()[0], one, two))
    assert torch.equal(get_objective("darling:power=1").shape(g), get_objective("darling").shape(g))


@settings(max_examples=60, deadline=None)
@given(ROLLOUTS, st.sampled_from(["1", "2"]), st.integers(0, 5))
def test_random_clusters_of_equal_norm_are_as_long_as_the_real_ones(
    items: list[tuple[float, str]], power: str, seed: int
) -> None:
    g = dataclasses.replace(drawn(items), seed=seed)
    real = get_objective(f"darling:power={power}").advantages(g).base
    own = get_objective(f"darling_random:power={power}").advantages(g).base
    equal = get_objective(f"darling_random:power={power},norm=equal").advantages(g).base
    assert float(equal.norm()) == pytest.approx(float(real.norm()), abs=1e-12)
    # the same direction as without the rescaling
    torch.testing.assert_close(equal * own.norm(), own * equal.norm(), atol=1e-12, rtol=1e-12)


def test_each_group_is_rescaled_by_its_own_clusters() -> None:
    rewards = torch.tensor([[1.0, 1, 1, 0], [1.0, 0, 0, 0]], dtype=torch.float64)
    g = Groups(("a", "b"), rewards, {"retrieval": [list("xxyz"), list("xxxy")]}, seed=0)
    real = get_objective("darling").advantages(g).base
    own = get_objective("darling_random").advantages(g).base
    equal = get_objective("darling_random:norm=equal").advantages(g).base
    torch.testing.assert_close(equal.norm(dim=1), real.norm(dim=1))
    scales = (equal.norm(dim=1) / own.norm(dim=1)).tolist()
    assert scales[0] != pytest.approx(scales[1])


def test_a_group_that_the_random_clusters_silence_stays_silent() -> None:
    silent = 0
    for seed in range(20):
        g = group([1, 0, 0, 0], "abbb", seed)  # without a floor and with a steep power, others' factor is near 0
        g = dataclasses.replace(g, outcomes={"retrieval": [["a", "b", "b", "b"]]})
        own = get_objective("darling_random:floor=0,power=2000").advantages(g).base
        equal = get_objective("darling_random:floor=0,power=2000,norm=equal").advantages(g).base
        assert bool(equal.isfinite().all())
        if not own.any():
            silent += 1
            assert not equal.any()
    assert silent


def test_trl_passes_enough_for_those_that_read_rewards_or_queries() -> None:
    texts = ["<search>a</search>", "<search>a</search>", "<search>b</search>", "none"]
    groups = _groups(completion_outcomes, ["q"] * 4, torch.tensor([1.0, 0, 1, 0]), texts, 4, step=0)
    for spec in ("pass_mix", "pass_at_k:k=2,std=none", "correct_only", "unsolved_only:most=2"):
        base = get_objective(spec).advantages(groups).base
        plain = Groups(("q",), torch.tensor([[1.0, 0, 1, 0]], dtype=torch.float64))
        assert torch.equal(base, get_objective(spec).advantages(plain).base)
        assert bool(base.any())
