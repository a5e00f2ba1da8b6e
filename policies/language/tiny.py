"""The from-scratch preset: a Llama-architecture model of about 0.8 M parameters and a tokenizer for the closed voice.

Names are sequences of syllables, so the model learns to copy once instead of once per name. Every other word of the
closed voice is one token. Anything else falls back to UTF-8 bytes, so the tokenizer is lossless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...envs.episode import BUDGET_HINT, INVALID_HINT
from ...envs.world import closed_voice

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["TINY_CONFIG", "TINY_SIZES", "copying_rows", "tiny_model", "tiny_tokenizer", "tiny_vocabulary"]

TINY_CONFIG: dict[str, Any] = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 320,
    "max_position_embeddings": 1024,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
    "initializer_range": 0.06,
}
TINY_SIZES: Mapping[str, Mapping[str, int]] = {
    "tiny": {},
    "tiny_small": {"hidden_size": 64, "intermediate_size": 160},
    "tiny_large": {"hidden_size": 256, "intermediate_size": 640},
}
"""Name -> what differs from `TINY_CONFIG`: about 0.8, 0.2 and 3 M parameters, as many layers and heads."""

_TAGS = (
    "<think>",
    "</think>",
    "<search>",
    "</search>",
    "<answer>",
    "</answer>",
    "<information>",
    "</information>",
)
_CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
_END = "<|end|>"


def tiny_vocabulary() -> list[str]:
    """The pieces: words with and without a leading space, syllables, tags, passage numbers."""
    words = {
        *closed_voice.KINDS,
        *(word for layer in closed_voice.RELATIONS for word in layer),
        *closed_voice.WORDS,
    }
    for hint in (INVALID_HINT, BUDGET_HINT, "no passage found", "unknown"):
        words.update(word.strip(":") for word in hint.split() if not word.startswith("<"))
    words.update(_TAGS)
    numbers = {f"[{n}]" for n in range(1, 13)}
    pieces = {*words, *(f" {word}" for word in words), *numbers, *(f" {number}" for number in numbers)}
    pieces |= {*closed_voice.SYLLABLES, *(f" {syllable}" for syllable in closed_voice.SYLLABLES)}
    pieces |= {" ", "\n", ".", ":", ": ", "?", " ?"}
    return sorted(pieces)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A lossless tokenizer: splits text into the fewest pieces, with bytes as fallback."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [("<unk>", -100.0), *((f"<0x{byte:02X}>", -20.0) for byte in range(256))]
    pieces += [(piece, -1.0 - 0.001 * len(piece)) for piece in tiny_vocabulary()]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    # Text that spells out a byte piece, "<0x41>", must not become that byte: split it after "<".
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"<(?=0x[0-9A-F]{2}>)"), "isolated")
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens([AddedToken(_END, special=True, normalized=False)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=_END,
        pad_token=_END,
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def tiny_model(vocab_size: int, seed: int, *, size: str = "tiny") -> PreTrainedModel:
    """Fresh float32 weights that depend only on the seed; torch's global generator keeps its state.

    Args:
        vocab_size: of the tokenizer.
        seed: of the weights.
        size: a name of `TINY_SIZES`.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        model: PreTrainedModel = LlamaForCausalLM(
            LlamaConfig(vocab_size=vocab_size, **{**TINY_CONFIG, **TINY_SIZES[size]})
        )
    finally:
        torch.set_rng_state(state)
    return model


def copying_rows(
    tokenizer: PreTrainedTokenizerFast, count: int, generator: np.random.Generator, max_words: int = 8
) -> list[tuple[NDArray[np.int32], NDArray[np.bool_]]]:
    """Rows of random names repeated once, with the loss on the repetition: teaches copying before searching."""
    rows = []
    syllables = np.array(closed_voice.SYLLABLES)
    for _ in range(count):
        num_words = int(
            generator.integers(2, max_words + 1)
        )  # varies, so that the model does not learn one fixed distance
        names = ["".join(generator.choice(syllables, size=int(generator.integers(3, 5)))) for _ in range(num_words)]
        once = tokenizer.encode("".join(f" {name}" for name in names), add_special_tokens=False)
        ids = np.array([*once, *once], dtype=np.int32)
        rows.append((ids, np.arange(len(ids)) >= len(once)))
    return rows
