"""Micro-batches cover every policy token once, waste little, and change no number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from berrypick.policies.language.batches import TokenRows, log_probs_of, micro_batches
from berrypick.policies.language.model import LanguageModelPolicy
from hypothesis import given, settings
from hypothesis import strategies as st

ROWS = st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=12)


def rows_of(masks: list[list[bool]]) -> TokenRows:
    generator = np.random.default_rng(0)
    return TokenRows(
        [generator.integers(0, 300, len(mask)).astype(np.int32) for mask in masks], [np.array(m) for m in masks]
    )


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 100))
def test_each_policy_token_stands_in_one_batch(masks: list[list[bool]], max_tokens: int) -> None:
    data = rows_of(masks)
    batches = list(micro_batches(data, max_tokens))
    seen = [row for batch in batches for row in batch.rows]
    assert sorted(seen) == [row for row, mask in enumerate(masks) if any(mask[1:])]
    assert sum(int(batch.policy.sum()) for batch in batches) == data.num_policy_tokens
    for batch in batches:
        assert batch.ids.numel() <= max_tokens or len(batch.rows) == 1
        for i, row in enumerate(batch.rows):
            wanted = data.ids[row][1:][data.masks[row][1:]]
            assert batch.ids[i, 1:][batch.policy[i]].tolist() == wanted.tolist()


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_at_most_an_eighth_of_a_row_is_padding(masks: list[list[bool]]) -> None:
    data = rows_of(masks)
    for batch in micro_batches(data, 10_000):
        for row in batch.rows:
            used = max(np.flatnonzero(data.masks[row])) + 1
            assert used >= batch.ids.shape[1] * 7 / 8


def test_scores_do_not_depend_on_padding_or_on_what_follows_the_last_policy_token(
    make_babbler: Callable[..., LanguageModelPolicy],
) -> None:
    model = make_babbler().model
    masks = [[False] * 3 + [True] * n + [False, True] + [False] * 4 for n in (20, 19, 18, 5)]
    data = rows_of(masks)
    with torch.no_grad():
        for batch in micro_batches(data, 1000):
            log_probs, entropies = log_probs_of(model, batch)
            expected = []
            for row in batch.rows:
                logits = torch.log_softmax(model(torch.from_numpy(data.ids[row]).long()[None]).logits[0], -1)
                expected += [
                    (logits[t - 1, data.ids[row][t]], -(logits[t - 1].exp() * logits[t - 1]).sum())
                    for t in np.flatnonzero(data.masks[row])
                ]
            torch.testing.assert_close(log_probs, torch.stack([a for a, _ in expected]), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(entropies, torch.stack([b for _, b in expected]), atol=1e-4, rtol=1e-4)


def test_an_architecture_with_another_head_is_scored_through_its_own_forward(
    make_babbler: Callable[..., LanguageModelPolicy],
) -> None:
    model = make_babbler().model
    data = rows_of([[False, True, True, False, True]])
    (batch,) = micro_batches(data, 100)
    with torch.no_grad():
        expected = log_probs_of(model, batch)
        model.config.model_type = "something_else"
        for got, wanted in zip(log_probs_of(model, batch), expected):
            torch.testing.assert_close(got, wanted)
