"""What computes next-token logits for a session: the model's own forward, or `FusedDecoder` where it fits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .attention import attention_mask, below_lora
from .fused import FusedDecoder, is_llama_like
from .precision import autocast
from .row_cache import RowCache

__all__ = ["Decoder", "PlainDecoder", "decoder_of", "forward_rows", "weights_version"]

_PADDED_TOKENS = 4096
"""Most padded tokens of a forward of new text."""


class Decoder(Protocol):
    """Reads tokens of cached rows."""

    def next_logits(self, cache: RowCache, new: Sequence[Sequence[int]]) -> Tensor:
        """Reads new tokens of every row, at least one each; returns the logits after the last one, [rows, vocab]."""
        ...

    def computing(self) -> AbstractContextManager[Any]:
        """Entered around a turn; the weights do not change while it is open."""
        ...


def decoder_of(model: PreTrainedModel) -> Decoder:
    """Makes the faster decoder that the model allows, for its present weights; see `weights_version`."""
    return FusedDecoder(model) if is_llama_like(model) else PlainDecoder(model)


def weights_version(model: PreTrainedModel) -> tuple[Any, ...]:
    """Changes whenever a weight changes in place or is replaced, so that equal versions mean equal weights."""
    return tuple((parameter.data_ptr(), parameter._version) for parameter in model.parameters())


class PlainDecoder:
    """The model's own forward, over padded rows."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def next_logits(self, cache: RowCache, new: Sequence[Sequence[int]]) -> Tensor:
        """Reads all tokens but the last in forwards of bounded size, then the last ones together."""
        device = cache.lengths.device
        counts = torch.tensor([len(ids) - 1 for ids in new], device=device)
        longest = int(counts.max())
        if longest:
            padded = torch.tensor([[*ids[:-1], *([0] * (longest - len(ids) + 1))] for ids in new], device=device)
            width = max(1, _PADDED_TOKENS // len(new))
            for first in range(0, longest, width):
                piece = padded[:, first : first + width]
                forward_rows(self._model, cache, piece, (counts - first).clamp(0, piece.shape[1]))
        last = torch.tensor([ids[-1:] for ids in new], device=device)
        return forward_rows(self._model, cache, last, torch.ones_like(counts))

    def computing(self) -> AbstractContextManager[Any]:
        """Keeps the weights that autocast has rounded until the block ends; otherwise each forward rounds them."""
        return autocast(self._model)


def forward_rows(model: PreTrainedModel, cache: RowCache, tokens: Tensor, counts: Tensor) -> Tensor:
    """One cached forward over right-padded new tokens.

    Args:
        model: a decoder-only causal language model of `transformers` that takes position ids.
        cache: one row for each row of `tokens`; its lengths grow by `counts`.
        tokens: int64 [rows, T].
        counts: int64 [rows], how many of a row's T tokens are real.

    Returns:
        Logits of the last column, [rows, vocab]; meaningful only for rows whose count is T.
    """
    num_tokens = tokens.shape[1]
    span = cache.place(num_tokens)
    positions = cache.lengths[:, None] + torch.arange(num_tokens, device=tokens.device)
    queries, keys = positions[:, :, None], torch.arange(span, device=tokens.device)
    causal: Any = below_lora(model)
    # Padding repeats the position of the row's last real token: its own could exceed the model's position table.
    last = (cache.lengths + counts - 1).clamp_min(0)
    with autocast(model):
        out = causal(
            input_ids=tokens,
            attention_mask=attention_mask(causal, keys <= queries, queries, keys),
            position_ids=torch.minimum(positions, last[:, None]),
            use_cache=True,
            logits_to_keep=1,
            **{_cache_argument(type(causal).forward): cache},
        )
    cache.lengths += counts
    logits: Tensor = out.logits[:, -1]
    return logits


@lru_cache(maxsize=16)
def _cache_argument(forward: Callable[..., Any]) -> str:
    """The forward's name for its cache; newer releases of `transformers` renamed it for some architectures."""
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"
