"""Language models as policies: weights, tokens, sessions, LoRA, vLLM. Names load on first use; torch takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...retrieval_index.lazy_names import lazy_names

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "batches": ("MicroBatch", "TokenRows", "log_probs_of", "log_probs_of_rows", "logits_of", "micro_batches"),
        "encoding": ("encode", "encode_episode", "encode_prompt"),
        "episode_rows": ("rows_of", "within_window"),
        "interpolation": ("interpolate",),
        "kind_words": ("kind_tokens", "read_kinds"),
        "lora": ("with_lora",),
        "model": ("LanguageModelPolicy", "find_device", "load_language_model"),
        "sampling": ("sample_tokens",),
        "session": ("LanguageModelSession",),
        "tiny": ("tiny_model", "tiny_tokenizer"),
        "vllm_engine": ("VllmOptions", "VllmPolicy"),
    },
)
