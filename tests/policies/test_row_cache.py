"""The ragged cache against forwards without any cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from berrypick.policies.language_model import LanguageModelPolicy
from berrypick.policies.row_cache import RowCache, forward_rows


@pytest.mark.parametrize("seed", range(4))
def test_ragged_appends_selections_and_write_backs_give_the_logits_of_a_plain_forward(
    make_babbler: Callable[..., LanguageModelPolicy], seed: int
) -> None:
    model = make_babbler().model
    generator = np.random.default_rng(seed)
    rows = 5
    contexts: list[list[int]] = [[] for _ in range(rows)]
    cache = RowCache(torch.zeros(rows, dtype=torch.int64))
    with torch.inference_mode():
        for _ in range(8):
            chosen = np.sort(generator.choice(rows, size=generator.integers(1, rows + 1), replace=False))
            at = torch.from_numpy(chosen)
            part = cache if len(chosen) == rows else cache.select(at)
            width = int(generator.integers(1, 7))
            counts = generator.integers(0, width + 1, len(chosen))
            tokens = generator.integers(0, 300, (len(chosen), width))
            forward_rows(model, part, torch.from_numpy(tokens), torch.from_numpy(counts))
            for row, count, new in zip(chosen, counts, tokens):
                contexts[row] += new[:count].tolist()
            if part is not cache:
                cache.write_back(at, part)
            assert cache.lengths.tolist() == [len(context) for context in contexts]
        probe = torch.full((rows, 1), 7)
        logits = forward_rows(model, cache, probe, torch.ones(rows, dtype=torch.int64))
        for row, context in enumerate(contexts):
            plain = model(torch.tensor([[*context, 7]]), use_cache=False).logits[0, -1]
            torch.testing.assert_close(logits[row], plain, atol=2e-4, rtol=1e-4)


def test_a_selection_is_a_copy(make_babbler: Callable[..., LanguageModelPolicy]) -> None:
    cache = RowCache(torch.zeros(2, dtype=torch.int64))
    with torch.inference_mode():
        forward_rows(make_babbler().model, cache, torch.tensor([[1, 2], [3, 4]]), torch.tensor([2, 2]))
        before = cache.keys[0].clone()
        part = cache.select(torch.tensor([1]))
        part.keys[0].zero_()
    assert torch.equal(cache.keys[0], before)
