"""Attention in blocks against torch's own, in values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from berrypick.policies.language.batches import TokenRows, log_probs_of, micro_batches
from berrypick.policies.language.blocked_attention import BlockedAttention, blocked_attention
from berrypick.policies.language.model import load_language_model
from berrypick.policies.language.precision import compute_in


def _inputs(length: int, heads: int, key_heads: int, dtype: torch.dtype) -> tuple[list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(length)

    def drawn(count: int) -> torch.Tensor:
        return torch.randn(2, count, length, 8, generator=generator, dtype=torch.float64).to(dtype)

    leaves = [drawn(heads), drawn(key_heads), drawn(key_heads)]
    return [leaf.requires_grad_() for leaf in leaves], drawn(heads)


def _reference(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    """Written out: every query against every key, one softmax."""
    each = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(each, 1), value.repeat_interleave(each, 1)
    scores = torch.einsum("bhtd,bhsd->bhts", query, key) * scale
    seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return torch.einsum("bhts,bhsd->bhtd", scores.masked_fill(~seen, -torch.inf).softmax(-1), value)


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize(("heads", "key_heads"), [(4, 4), (6, 2), (3, 1)])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_values_and_gradients_are_those_of_attention_written_out(
    length: int, heads: int, key_heads: int, scale: float | None
) -> None:
    leaves, upstream = _inputs(length, heads, key_heads, torch.float64)
    out = blocked_attention(*leaves, scale)
    found = torch.autograd.grad(out, leaves, upstream)
    expected = _reference(*leaves, 8**-0.5 if scale is None else scale)
    wanted = torch.autograd.grad(expected, leaves, upstream)
    torch.testing.assert_close(out, expected)
    for ours, theirs in zip(found, wanted):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)  # gradients of keys are summed in float32


def test_rounding_is_no_worse_than_that_of_torch_s_own_kernel() -> None:
    exact, upstream = _inputs(150, 6, 2, torch.float64)
    rounded = [leaf.detach().bfloat16().requires_grad_() for leaf in exact]
    wide = [leaf.detach().double().requires_grad_() for leaf in rounded]  # the same numbers, computed exactly
    truth = torch.autograd.grad(_reference(*wide, 8**-0.5), wide, upstream.bfloat16().double())
    ours = torch.autograd.grad(blocked_attention(*rounded), rounded, upstream.bfloat16())
    kernel = F.scaled_dot_product_attention(*rounded, is_causal=True, enable_gqa=True)
    theirs = torch.autograd.grad(kernel, rounded, upstream.bfloat16())
    for true, one, other in zip(truth, ours, theirs):
        assert (one - true).norm() <= 2 * (other - true).norm()


@pytest.mark.parametrize("case", ["float32", "mask", "not causal", "fewer queries"])
def test_what_it_does_not_compute_is_left_to_torch(case: str) -> None:
    (query, key, value), _ = _inputs(70, 4, 4, torch.float32 if case == "float32" else torch.bfloat16)
    options: dict[str, object] = {"is_causal": case != "not causal"}
    if case == "mask":
        options = {"attn_mask": torch.ones(70, 70, dtype=torch.bool).tril()}
    if case == "fewer queries":
        query = query[:, :, -1:]
        options = {"is_causal": False}
    wanted = F.scaled_dot_product_attention(query, key, value, **options)  # type: ignore[arg-type]
    with BlockedAttention():
        found = F.scaled_dot_product_attention(query, key, value, **options)  # type: ignore[arg-type]
    assert torch.equal(found, wanted)


def test_updates_in_bfloat16_use_it_and_those_in_float32_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[torch.Size] = []

    def counted(query: torch.Tensor, *others: Any) -> torch.Tensor:
        calls.append(query.shape)
        return blocked_attention(query, *others)

    monkeypatch.setattr("berrypick.policies.language.blocked_attention.blocked_attention", counted)
    policy = load_language_model("tiny", seed=0)
    ids = np.arange(4, 90, dtype=np.int32)
    rows = TokenRows([ids, ids[:70]], [ids > 60, ids[:70] > 60])

    def loss_and_gradient() -> tuple[float, torch.Tensor]:
        policy.model.zero_grad()
        total = torch.zeros(())
        for micro in micro_batches(rows, 4096):
            total = total - log_probs_of(policy.model, micro)[0].sum()
        total.backward()
        weights = policy.model.get_parameter("model.layers.0.self_attn.q_proj.weight")
        assert weights.grad is not None
        return float(total.detach()), weights.grad.clone()

    exact, gradient = loss_and_gradient()
    assert not calls
    compute_in(policy.model, torch.bfloat16)
    rounded, rounded_gradient = loss_and_gradient()
    layers = policy.model.config.num_hidden_layers
    assert len(calls) in (layers, 2 * layers)  # one or two micro-batches
    assert rounded == pytest.approx(exact, rel=5e-3)
    assert torch.nn.functional.cosine_similarity(rounded_gradient.flatten(), gradient.flatten(), dim=0) > 0.99
