"""Key-value cache whose rows have their own lengths, so that episodes of different length share one forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from .batches import additive_mask

__all__ = ["RowCache", "forward_rows"]


_SPARE = 32


class RowCache(Cache):  # type: ignore[misc]
    """Dense keys and values: entry j of row r is its j-th token; what lies beyond `lengths[r]` is never attended.

    `keys[layer]` and `values[layer]` are [rows, heads, capacity, dim].
    """

    def __init__(self, lengths: Tensor) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.lengths = lengths
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._span = 0
        self._level: int | None = None

    def place(self, num_tokens: int) -> int:
        """Announces a forward that brings up to `num_tokens` tokens a row; returns the key span it will attend."""
        shortest, longest = (int(end) for end in torch.aminmax(self.lengths))
        self._span = longest + num_tokens
        self._level = longest if shortest == longest else None
        return self._span

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes [rows, heads, T, dim] behind each row's last entry; returns views over the announced span."""
        if layer_idx == len(self.keys):
            self.keys.append(key_states.new_zeros((*key_states.shape[:2], 0, key_states.shape[3])))
            self.values.append(value_states.new_zeros((*value_states.shape[:2], 0, value_states.shape[3])))
        num_tokens = key_states.shape[2]
        for store, new in ((self.keys, key_states), (self.values, value_states)):
            if store[layer_idx].shape[2] < self._span:
                store[layer_idx] = _grown(store[layer_idx], self._span)
            if self._level is not None:  # rows of one length, as in the first prefill: a slice is much cheaper
                store[layer_idx][:, :, self._level : self._level + num_tokens] = new
                continue
            rows = torch.arange(new.shape[0], device=new.device)[:, None]
            at = self.lengths[:, None] + torch.arange(num_tokens, device=new.device)
            store[layer_idx][rows, :, at] = new.transpose(1, 2)
        return self.keys[layer_idx][:, :, : self._span], self.values[layer_idx][:, :, : self._span]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The longest row."""
        return int(self.lengths.max()) if self.lengths.numel() else 0

    def select(self, rows: Tensor) -> RowCache:
        """A copy of some rows, trimmed to the longest and a few tokens more, so that it need not grow at once."""
        out = RowCache(self.lengths[rows].clone())
        span = out.get_seq_length() + _SPARE
        out.keys = [store[rows, :, :span] for store in self.keys]
        out.values = [store[rows, :, :span] for store in self.values]
        return out

    def write_back(self, rows: Tensor, part: RowCache) -> None:
        """Puts rows that `select` took back, grown by what was written since."""
        span = part.get_seq_length()
        for mine, theirs in ((self.keys, part.keys), (self.values, part.values)):
            for new in theirs[len(mine) :]:
                mine.append(new.new_zeros((len(self.lengths), new.shape[1], 0, new.shape[3])))
            for layer, store in enumerate(mine):
                if store.shape[2] < span:
                    mine[layer] = store = _grown(store, span)
                store[rows, :, :span] = theirs[layer][:, :, :span]
        self.lengths[rows] = part.lengths


def _grown(store: Tensor, span: int) -> Tensor:
    capacity = max(span, store.shape[2] + store.shape[2] // 2, 64)
    grown = store.new_empty((*store.shape[:2], capacity, store.shape[3]))
    grown[:, :, : store.shape[2]] = store
    grown[:, :, store.shape[2] :] = 0  # never attended, but 0 times a NaN would be one
    return grown


def forward_rows(model: PreTrainedModel, cache: RowCache, tokens: Tensor, counts: Tensor) -> Tensor:
    """One cached forward over right-padded new tokens.

    Args:
        model: any decoder-only causal language model of `transformers`.
        cache: one row for each row of `tokens`; its lengths grow by `counts`.
        tokens: int64 [rows, T].
        counts: int64 [rows], how many of the T are real.

    Returns:
        Logits of the last column, [rows, vocab]; meaningful where counts equals T.
    """
    num_tokens = tokens.shape[1]
    span = cache.place(num_tokens)
    positions = cache.lengths[:, None] + torch.arange(num_tokens, device=tokens.device)
    mask = torch.arange(span, device=tokens.device) <= positions[:, :, None]
    causal: Any = getattr(model, "get_base_model", lambda: model)()  # below LoRA, where there is one
    out = causal(
        input_ids=tokens,
        attention_mask=additive_mask(mask[:, None], causal.dtype),
        position_ids=positions,
        use_cache=True,
        logits_to_keep=1,
        **{_cache_argument(type(causal).forward): cache},
    )
    cache.lengths += counts
    logits: Tensor = out.logits[:, -1]
    return logits


@lru_cache(maxsize=16)
def _cache_argument(forward: Callable[..., Any]) -> str:
    """What an architecture's forward calls its cache; newer releases of `transformers` renamed it."""
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"
