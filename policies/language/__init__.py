"""Language models as policies: weights, tokens, sessions, LoRA, vLLM. Names load on first use; torch takes seconds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .batches import MicroBatch, TokenRows, log_probs_of, log_probs_of_rows, logits_of, micro_batches
    from .encoding import encode, encode_episode, encode_prompt
    from .episode_rows import rows_of, within_window
    from .interpolation import interpolate
    from .kind_words import kind_tokens, read_kinds
    from .lora import with_lora
    from .model import LanguageModelPolicy, find_device, load_language_model
    from .sampling import sample_tokens
    from .session import LanguageModelSession
    from .tiny import tiny_model, tiny_tokenizer
    from .vllm_engine import VllmOptions, VllmPolicy

__all__ = [
    "LanguageModelPolicy",
    "LanguageModelSession",
    "MicroBatch",
    "TokenRows",
    "VllmOptions",
    "VllmPolicy",
    "encode",
    "encode_episode",
    "encode_prompt",
    "find_device",
    "interpolate",
    "kind_tokens",
    "load_language_model",
    "log_probs_of",
    "log_probs_of_rows",
    "logits_of",
    "micro_batches",
    "read_kinds",
    "rows_of",
    "sample_tokens",
    "tiny_model",
    "tiny_tokenizer",
    "with_lora",
    "within_window",
]

_SUBMODULES = {
    "LanguageModelPolicy": "model",
    "LanguageModelSession": "session",
    "MicroBatch": "batches",
    "TokenRows": "batches",
    "VllmOptions": "vllm_engine",
    "VllmPolicy": "vllm_engine",
    "encode": "encoding",
    "encode_episode": "encoding",
    "encode_prompt": "encoding",
    "find_device": "model",
    "interpolate": "interpolation",
    "kind_tokens": "kind_words",
    "load_language_model": "model",
    "log_probs_of": "batches",
    "log_probs_of_rows": "batches",
    "logits_of": "batches",
    "micro_batches": "batches",
    "read_kinds": "kind_words",
    "rows_of": "episode_rows",
    "sample_tokens": "sampling",
    "tiny_model": "tiny",
    "tiny_tokenizer": "tiny",
    "with_lora": "lora",
    "within_window": "episode_rows",
}


def __getattr__(name: str) -> Any:
    if name not in _SUBMODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_SUBMODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
