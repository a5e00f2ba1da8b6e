"""The fused forwards against those of `transformers`: grouped heads, biases, norms of heads, LoRA, chunks, formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from berrypick.policies.language import cached_attention, fused
from berrypick.policies.language.decoder import PlainDecoder, decoder_of, weights_version
from berrypick.policies.language.fused import FusedDecoder, is_llama_like
from berrypick.policies.language.lora import with_lora
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.language.precision import compute_in
from berrypick.policies.language.row_cache import RowCache
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

_SIZES = {
    "vocab_size": 320,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 256,
    "initializer_range": 0.25,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"tie_word_embeddings": True}),
    "llama with biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("mistral", {"sliding_window": None}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head_dim": 12}),
}


def model_of(kind: str, **sizes: Any) -> Any:
    """Random weights, biases and norms, so that none of them can be left out unseen."""
    architecture, options = _KINDS[kind]
    state = torch.get_rng_state()
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(architecture, **{**_SIZES, **options, **sizes}), dtype=torch.float64
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5)
    torch.set_rng_state(state)
    return model


@torch.inference_mode()
def check(model: Any, decoder: Any, *, seed: int = 0, atol: float = 5e-5) -> None:
    """Appends to, splits and stops contexts at random, and compares every row of logits with a plain forward.

    `transformers` computes its norms in float32 also for weights in float64.
    """
    draws = np.random.default_rng(seed)
    contexts: list[list[int]] = [[] for _ in range(4)]
    cache = RowCache(torch.zeros(4, dtype=torch.int64))
    for _ in range(7):
        longest = int(draws.choice([1, 12]))
        new = [draws.integers(0, 320, int(draws.integers(1, longest + 1))).tolist() for _ in contexts]
        logits = decoder.next_logits(cache, new)
        contexts = [context + ids for context, ids in zip(contexts, new)]
        for row, context in enumerate(contexts):
            plain = model(torch.tensor([context]), use_cache=False).logits[0, -1]
            torch.testing.assert_close(logits[row].to(plain), plain, atol=atol, rtol=1e-4)
        if draws.random() < 0.5:
            copied = draws.integers(0, len(contexts), 3).tolist()
            cache.branch(torch.tensor(copied))
            contexts += [list(contexts[row]) for row in copied]
        if draws.random() < 0.6:
            stopped = sorted(draws.choice(len(contexts), len(contexts) // 2, replace=False).tolist())
            contexts = [contexts[row] for row in cache.retire(stopped)]
        assert cache.lengths.tolist() == list(map(len, contexts))
        assert [slot.at for slot in cache.slots] == list(range(len(cache.slots)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", list(_KINDS))
def test_logits_are_those_of_a_plain_forward(kind: str, seed: int) -> None:
    model = model_of(kind)
    assert is_llama_like(model)
    check(model, FusedDecoder(model), seed=seed)


def test_cuts_of_long_texts_and_of_attention_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_TOKENS", 5)
    monkeypatch.setattr(cached_attention, "_SCORES", 0)
    model = model_of("llama")
    check(model, FusedDecoder(model))


@pytest.mark.parametrize("waste", [-1, 1 << 30])
def test_attention_row_by_row_and_padded_are_one(monkeypatch: pytest.MonkeyPatch, waste: int) -> None:
    monkeypatch.setattr(cached_attention, "_WASTE", waste)
    model = model_of("llama")
    check(model, FusedDecoder(model), seed=1)


def test_the_plain_decoder_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berrypick.policies.language.decoder._PADDED_TOKENS", 5)
    model = model_of("llama")
    check(model, PlainDecoder(model))


def test_a_retired_row_follows_its_slot() -> None:
    model = model_of("llama")
    decoder, cache = FusedDecoder(model), RowCache(torch.zeros(4, dtype=torch.int64))
    contexts = [[5, 6, 7], [8, 9], [10, 11, 12, 13], [14]]
    with torch.inference_mode():
        decoder.next_logits(cache, contexts)
        slots = list(cache.slots)
        assert cache.retire([0]) == [3, 1, 2]  # only the last row has to move
        cache.branch(torch.tensor([0, 0, 1]))
        again = RowCache.joined([(cache, torch.tensor([slot.at for slot in slots]), torch.tensor([3, 2, 4, 1]))], 8)
        logits = decoder.next_logits(again, [[20]] * 4)
        for row, context in enumerate(contexts):
            plain = model(torch.tensor([[*context, 20]]), use_cache=False).logits[0, -1]
            torch.testing.assert_close(logits[row], plain, atol=5e-5, rtol=1e-4)


def test_joining_can_empty_its_sources() -> None:
    model = model_of("llama")
    decoder, cache = FusedDecoder(model), RowCache(torch.zeros(2, dtype=torch.int64))
    with torch.inference_mode():
        decoder.next_logits(cache, [[5, 6, 7], [8, 9]])
        parts = [(cache, torch.tensor([1, 0]), torch.tensor([2, 3]))]
        kept = RowCache.joined(parts, 4)
        joined = RowCache.joined(parts, 4, consumes=True)
    for ours, theirs in zip((*kept.keys, *kept.values), (*joined.keys, *joined.values), strict=True):
        assert torch.equal(ours[:, :, :2], theirs[:, :, :2])
    assert all(not store.numel() for store in (*cache.keys, *cache.values))


def test_lora_matrices_take_part_and_their_updates_make_a_new_decoder(tokenizer: PreTrainedTokenizerFast) -> None:
    policy = with_lora(LanguageModelPolicy(model_of("llama"), tokenizer, "small"), 3)
    for name, parameter in policy.model.named_parameters():
        if "lora_B" in name:
            parameter.data.uniform_(-0.3, 0.3)
    assert is_llama_like(policy.model)
    check(policy.model, decoder_of(policy.model))
    before = weights_version(policy.model)
    assert weights_version(policy.model) == before
    with torch.no_grad():
        next(value for name, value in policy.model.named_parameters() if "lora_A" in name).add_(1.0)
    assert weights_version(policy.model) != before


def test_packed_weights_of_float32_and_bfloat16_agree_within_their_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berrypick.policies.language.fused_linear._LARGE", 0)
    model = model_of("llama", initializer_range=0.1).float()
    check(model, FusedDecoder(model), atol=1e-3)
    compute_in(model, torch.bfloat16)
    check(model, FusedDecoder(model), atol=0.3)


def test_a_policy_samples_from_the_weights_of_the_moment(
    make_babbler: Callable[..., LanguageModelPolicy], world: Any
) -> None:
    policy = make_babbler(dtype=torch.float64)
    first = policy._current_decoder()
    assert policy._current_decoder() is first
    with torch.no_grad():
        policy.model.get_input_embeddings().weight.mul_(1.5)
    assert policy._current_decoder() is not first


def test_what_the_fused_forward_does_not_know_is_left_to_the_model() -> None:
    assert not is_llama_like(model_of("mistral", sliding_window=8))
    assert not is_llama_like(model_of("llama", hidden_act="gelu"))
    hooked = model_of("llama")
    hooked.model.layers[0].mlp.register_forward_hook(lambda module, args, out: out)
    assert not is_llama_like(hooked)
    assert isinstance(decoder_of(hooked), PlainDecoder)
