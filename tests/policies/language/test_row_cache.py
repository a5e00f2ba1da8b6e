"""The ragged cache against forwards without any cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from berrypick.policies.language.decoder import forward_rows
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.language.row_cache import RowCache
from berrypick.retrieval_index.errors import BerrypickError
from transformers import PreTrainedModel


@pytest.fixture(scope="module", params=["llama", "mistral", "gemma3_text"])
def model(
    make_babbler: Callable[..., LanguageModelPolicy],
    make_babbler_of: Callable[..., LanguageModelPolicy],
    request: pytest.FixtureRequest,
) -> PreTrainedModel:
    """Full attention, a sliding window in all layers, in some; windows that the contexts below outgrow."""
    return (make_babbler() if request.param == "llama" else make_babbler_of(request.param, sliding_window=8)).model


@pytest.mark.parametrize("seed", range(4))
def test_ragged_appends_branches_and_joined_beginnings_give_the_logits_of_a_plain_forward(
    model: PreTrainedModel, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    contexts: list[list[int]] = [[] for _ in range(5)]
    cache = RowCache(torch.zeros(5, dtype=torch.int64))
    earlier = (RowCache(torch.zeros(1, dtype=torch.int64)), [[]])
    with torch.inference_mode():
        for _ in range(8):
            width = int(generator.integers(1, 7))
            counts = generator.integers(0, width + 1, len(contexts))
            tokens = generator.integers(0, 300, (len(contexts), width))
            forward_rows(model, cache, torch.from_numpy(tokens), torch.from_numpy(counts))
            for context, count, new in zip(contexts, counts, tokens):
                context += new[:count].tolist()
            copied = generator.integers(0, len(contexts), int(generator.integers(1, 3)))
            cache.branch(torch.from_numpy(copied))
            contexts += [list(contexts[row]) for row in copied]
            if generator.random() < 0.5:
                rows = generator.integers(0, len(contexts), 4)
                copied = np.array([generator.integers(0, len(contexts[row]) + 1) for row in rows])
                parts = [(cache, torch.from_numpy(rows), torch.from_numpy(copied))]
                parts.append((earlier[0], torch.tensor([0]), earlier[0].lengths[:1]))
                joined = [contexts[row][:count] for row, count in zip(rows, copied)] + [list(earlier[1][0])]
                earlier = (cache, contexts)
                cache, contexts = RowCache.joined(parts, int(generator.integers(0, 9))), joined
            assert cache.lengths.tolist() == [len(context) for context in contexts]
        probe = torch.full((len(contexts), 1), 7)
        logits = forward_rows(model, cache, probe, torch.ones(len(contexts), dtype=torch.int64))
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


@pytest.mark.parametrize(
    ("architecture", "reason"), [("bloom", "takes no position ids"), ("gpt_neo", "layers of local")]
)
def test_a_model_whose_attention_no_mask_of_ours_describes_is_refused(
    make_babbler_of: Callable[..., LanguageModelPolicy], architecture: str, reason: str
) -> None:
    cache = RowCache(torch.zeros(1, dtype=torch.int64))
    with torch.inference_mode(), pytest.raises(BerrypickError, match=f"{architecture} .*{reason}.*; choose one"):
        forward_rows(make_babbler_of(architecture).model, cache, torch.tensor([[1, 2]]), torch.tensor([2]))
