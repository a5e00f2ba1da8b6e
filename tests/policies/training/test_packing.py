"""Packed sequences: each as if it had its row to itself, in fewer forwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from berrypick.policies.language.batches import TokenRows, log_probs_of, micro_batches
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.training.packing import best_fit, packed_micro_batches
from berrypick.policies.training.sft import SftConfig, sft_optimizer, sft_update
from hypothesis import given, settings
from hypothesis import strategies as st

MakeBabbler = Callable[..., LanguageModelPolicy]


def some_rows(lengths: list[int], vocab: int = 600) -> TokenRows:
    draws = np.random.default_rng(0)
    ids = [draws.integers(300, vocab, length).astype(np.int32) for length in lengths]
    masks = [draws.random(length) < 0.5 for length in lengths]
    for mask in masks:
        mask[-1] = True
    return TokenRows(ids, masks)


LENGTHS = [3, 40, 17, 18, 9, 25, 40, 4, 2, 31]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=40))
def test_bins_hold_everything_once_within_capacity_and_no_two_would_fit_together(lengths: list[int]) -> None:
    bins = best_fit(lengths, 20)
    assert sorted(index for found in bins for index in found) == list(range(len(lengths)))
    loads = [sum(lengths[index] for index in found) for found in bins]
    assert max(loads) <= 20
    assert all(a + b > 20 for i, a in enumerate(loads) for b in loads[:i])


@pytest.mark.parametrize("kind", ["plain head", "whole forward", "mistral", "gemma3_text"])
def test_every_token_has_the_log_prob_it_has_alone(
    make_babbler: MakeBabbler, make_babbler_of: MakeBabbler, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "whole forward":
        monkeypatch.setattr("berrypick.policies.language.batches._PLAIN_HEAD", frozenset())
    windowed = kind in ("mistral", "gemma3_text")
    model = (make_babbler_of(kind, sliding_window=8) if windowed else make_babbler()).model
    data = some_rows(LENGTHS)
    packed = list(packed_micro_batches(data, 80))
    assert any(len(batch.rows) > len(batch.ids) for batch in packed)
    for batch in packed:
        got = [part.detach() for part in log_probs_of(model, batch)]
        apart = []
        for row in batch.rows:
            alone = TokenRows([data.ids[row]], [data.masks[row]])
            apart += [log_probs_of(model, single) for single in micro_batches(alone, 80)]
        for part, parts in zip(got, zip(*apart)):
            torch.testing.assert_close(part, torch.cat(parts).detach(), atol=1e-5, rtol=1e-5)


def test_loss_and_gradients_are_those_of_unpacked_rows_in_fewer_forwards(make_babbler: MakeBabbler) -> None:
    data = some_rows(LENGTHS)
    found = []
    for packing in (False, True):
        policy = make_babbler(dtype=torch.float64)
        config = SftConfig(steps=10, max_tokens=80, max_grad_norm=1e9, packing=packing)
        metrics = sft_update(policy, sft_optimizer(policy, config), data, config, 0)
        found.append((metrics, {name: value.grad for name, value in policy.model.named_parameters()}))
    (plain, gradients), (packed, others) = found
    assert packed == pytest.approx(plain, rel=1e-5)  # log-softmax is float32 at heart
    for name, value in gradients.items():
        assert float((value - others[name]).norm()) <= 1e-6 * plain["sft/grad_norm"], name
    packed_batches, batches = list(packed_micro_batches(data, 80)), list(micro_batches(data, 80))
    assert len(packed_batches) < len(batches)
    used = sum(LENGTHS) / sum(batch.ids.numel() for batch in packed_batches)
    assert used > 0.9


def test_rows_without_policy_tokens_are_left_out() -> None:
    blank = TokenRows([np.arange(4, dtype=np.int32)], [np.zeros(4, np.bool_)])
    assert list(packed_micro_batches(blank, 80)) == []
    data = some_rows([5, 6])
    mixed = dataclasses.replace(data, masks=[data.masks[0], np.zeros(6, np.bool_)])
    assert [batch.rows for batch in packed_micro_batches(mixed, 80)] == [(0,)]
