"""Key-value cache whose rows have their own lengths, so that episodes of different length share one forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from .attention import attention_mask

__all__ = ["RowCache", "forward_rows"]


_SPARE = 32
"""Tokens a copied row may grow by before its storage does."""


class RowCache(Cache):  # type: ignore[misc]
    """Dense keys and values: entry j of row r is its j-th token; what lies beyond `lengths[r]` is never attended.

    `keys[layer]` and `values[layer]` are [at least rows, heads, capacity, dim]. Rows in use hold numbers everywhere:
    what lies behind their ends is never attended, but 0 times a NaN would be one.

    Args:
        lengths: int64 [rows].
        room: rows and tokens that storage is made for at least; `branch` fills such rows.
    """

    def __init__(self, lengths: Tensor, room: tuple[int, int] = (0, 0)) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.lengths = lengths
        self._room = room
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
        num_rows, num_tokens = key_states.shape[0], key_states.shape[2]
        for stores, new in ((self.keys, key_states), (self.values, value_states)):
            if layer_idx == len(stores):
                rows_made, tokens_made = max(num_rows, self._room[0]), max(self._span, self._room[1])
                stores.append(new.new_zeros((rows_made, new.shape[1], tokens_made, new.shape[3])))
            stores[layer_idx] = store = _with_room(stores[layer_idx], num_rows, num_rows, self._span)
            if self._level is not None:  # rows of one length, as in the first prefill: a slice is much cheaper
                store[:num_rows, :, self._level : self._level + num_tokens] = new
                continue
            rows = torch.arange(num_rows, device=new.device)[:, None]
            at = self.lengths[:, None] + torch.arange(num_tokens, device=new.device)
            store[rows, :, at] = new.transpose(1, 2)
        return self.keys[layer_idx][:num_rows, :, : self._span], self.values[layer_idx][:num_rows, :, : self._span]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The longest row."""
        return int(self.lengths.max()) if self.lengths.numel() else 0

    def select(self, rows: Tensor) -> RowCache:
        """A copy of some rows, trimmed to the longest and a few tokens more, so that it need not grow at once."""
        return RowCache.joined([(self, rows, self.lengths[rows])], _SPARE)

    def branch(self, rows: Tensor) -> None:
        """Appends copies of some rows, in their order."""
        before, span = len(self.lengths), int(self.lengths[rows].max())
        new = slice(before, before + len(rows))
        for stores in (self.keys, self.values):
            for layer, store in enumerate(stores):
                stores[layer] = store = _with_room(store, before, new.stop, store.shape[2])
                store[new, :, :span] = store[rows, :, :span]
                store[new, :, span:] = 0
        self.lengths = torch.cat([self.lengths, self.lengths[rows]])

    @staticmethod
    def joined(parts: Sequence[tuple[RowCache, Tensor, Tensor]], spare: int, room: int = 0) -> RowCache:
        """A copy of the beginnings of rows of several caches, one after another.

        Args:
            parts: a cache, int64 [n] rows of it, which may repeat, and int64 [n] how many tokens of each are kept.
            spare: tokens that every row may grow by before its storage does.
            room: rows that storage is made for at least.
        """
        lengths = torch.cat([kept for _, _, kept in parts])
        num_rows, span = max(len(lengths), room), int(lengths.max()) + spare
        out = RowCache(lengths, (num_rows, span))
        filled = [cache for cache, _, _ in parts if cache.keys]
        if not filled:
            return out
        for layer in range(len(filled[0].keys)):
            for stores in ("keys", "values"):
                like: Tensor = getattr(filled[0], stores)[layer]
                store = like.new_empty((num_rows, like.shape[1], span, like.shape[3]))
                at = 0
                for cache, rows, beginnings in parts:
                    kept = int(beginnings.max()) if cache.keys else 0
                    mine = store[at : at + len(rows)]
                    if kept:
                        mine[:, :, :kept] = getattr(cache, stores)[layer][rows, :, :kept]
                    mine[:, :, kept:] = 0
                    at += len(rows)
                getattr(out, stores).append(store)
        return out


def _with_room(store: Tensor, used: int, num_rows: int, span: int) -> Tensor:
    """The same `used` rows in storage of so many rows and tokens at least, grown by half where it has to grow."""
    rows, capacity = store.shape[0], store.shape[2]
    if num_rows <= rows and span <= capacity:
        return store
    rows = rows if num_rows <= rows else max(num_rows, rows + rows // 2)
    longer = capacity if span <= capacity else max(span, capacity + capacity // 2)
    grown = store.new_empty((rows, store.shape[1], longer, store.shape[3]))
    grown[:used, :, :capacity] = store[:used]
    grown[:used, :, capacity:] = 0
    return grown


def forward_rows(model: PreTrainedModel, cache: RowCache, tokens: Tensor, counts: Tensor) -> Tensor:
    """One cached forward over right-padded new tokens.

    Args:
        model: a decoder-only causal language model of `transformers` that takes position ids.
        cache: one row for each row of `tokens`; its lengths grow by `counts`.
        tokens: int64 [rows, T].
        counts: int64 [rows], how many of the T are real.

    Returns:
        Logits of the last column, [rows, vocab]; meaningful where counts equals T.
    """
    num_tokens = tokens.shape[1]
    span = cache.place(num_tokens)
    positions = cache.lengths[:, None] + torch.arange(num_tokens, device=tokens.device)
    queries, keys = positions[:, :, None], torch.arange(span, device=tokens.device)
    causal: Any = getattr(model, "get_base_model", lambda: model)()  # below LoRA, where there is one
    last = (cache.lengths + counts - 1).clamp_min(0)  # padding stands there too: it may lie behind the last position
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
    """What an architecture's forward calls its cache; newer releases of `transformers` renamed it."""
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"
