"""A small World and a babbling language model: random weights, wild logits, turns that end by tag, eos or length."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from berrypick.envs.tasks import Task, make_task
from berrypick.policies.language_model import LanguageModelPolicy
from berrypick.policies.tiny import TINY_CONFIG, tiny_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def world() -> Task:
    """Eight training and four test questions over bm25s."""
    return make_task("berrypick/World-v0", num_train=8, num_validation=0, num_test=4)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return tiny_tokenizer()


def babbler(
    tokenizer: PreTrainedTokenizerFast, *, window: int = 512, dtype: torch.dtype = torch.float32
) -> LanguageModelPolicy:
    """A model whose logits have a spread of several nats, so that any wrong position or cache entry shows."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48, "max_position_embeddings": window}
    state = torch.get_rng_state()
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tokenizer), **{**TINY_CONFIG, **sizes, "initializer_range": 0.25, "tie_word_embeddings": False}
    )
    model = LlamaForCausalLM(config).to(dtype).eval()
    torch.set_rng_state(state)
    babble(model, tokenizer)
    return LanguageModelPolicy(model, tokenizer, "babbler")


def babble(model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    """Favours tags and the end token, in a hook that no checkpoint holds."""
    bias = torch.zeros(len(tokenizer), dtype=model.dtype)
    for text, weight in {
        " <search>": 5.0,
        "<search>": 5.0,
        " </search>": 5.5,
        " <answer>": 4.0,
        " </answer>": 5.0,
        "<|end|>": 3.0,
    }.items():
        bias[tokenizer.encode(text, add_special_tokens=False)] = weight
    model.lm_head.register_forward_hook(lambda module, args, logits: logits + bias.to(logits.device))


@pytest.fixture(scope="session")
def make_babbler(tokenizer: PreTrainedTokenizerFast) -> Callable[..., LanguageModelPolicy]:
    return lambda **options: babbler(tokenizer, **options)


_LLAMA_LIKE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
    "initializer_range": 0.25,
    "tie_word_embeddings": False,
}
_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "mistral": {**_LLAMA_LIKE, "sliding_window": 24},
    "gemma3_text": {
        **_LLAMA_LIKE,
        "head_dim": 8,
        "sliding_window": 24,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "initializer_range": 0.1},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "gpt_neo": {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
}


def babbler_of(tokenizer: PreTrainedTokenizerFast, architecture: str, **sizes: Any) -> LanguageModelPolicy:
    """A babbler of another architecture, by the name that `transformers` gives it."""
    state = torch.get_rng_state()
    torch.manual_seed(5)
    options = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
    config = AutoConfig.for_model(
        architecture, vocab_size=len(tokenizer), **options, **{**_ARCHITECTURES[architecture], **sizes}
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    torch.set_rng_state(state)
    babble(model, tokenizer)
    return LanguageModelPolicy(model, tokenizer, architecture)


@pytest.fixture(scope="session")
def make_babbler_of(tokenizer: PreTrainedTokenizerFast) -> Callable[..., LanguageModelPolicy]:
    return lambda architecture, **sizes: babbler_of(tokenizer, architecture, **sizes)


@pytest.fixture(scope="module")
def stand_in_vllm(tokenizer: PreTrainedTokenizerFast) -> Iterator[ModuleType]:
    """`stand_in/vllm.py` under the name vllm; models of the babbler's size babble again once they are loaded."""
    folder = str(Path(__file__).parent / "stand_in")
    before = sys.modules.pop("vllm", None)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    module = importlib.import_module("vllm")
    module.ON_LOAD[:] = [lambda model: model.config.hidden_size == 32 and babble(model, tokenizer)]
    yield module
    sys.path.remove(folder)
    del sys.modules["vllm"]
    if before is not None:
        sys.modules["vllm"] = before
