"""A key-value cache in which every row has its own length, so that contexts of different lengths share a forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from .attention import attention_mask, below_lora

__all__ = ["RowCache", "forward_rows"]


_SPARE = 32
"""Tokens that a copied row can grow by before its storage must."""


class RowCache(Cache):  # type: ignore[misc]
    """Keys and values of contexts, one per row: entry j of row r belongs to the row's j-th token.

    The cache of `transformers` pads rows to one length and appends to all of them at the same column. Here each row is
    left-aligned and appended at its own end, so a row that waits wastes no columns.

    Attributes:
        keys: a tensor for each layer, [rows allocated, heads, tokens allocated, head dim].
        values: the same shapes.
        lengths: int64 [rows in use], tokens of each row. Entries past a row's length are masked, but they must be
            finite: attention multiplies them by 0, and 0 times NaN is NaN. Hence the zero fills below.

    Args:
        lengths: int64 [rows].
        room: least rows and tokens to allocate; `branch` uses the spare rows.
    """

    def __init__(self, lengths: Tensor, room: tuple[int, int] = (0, 0)) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.lengths = lengths
        self._room = room
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._span = 0  # tokens that the announced forward attends to
        self._common_end: int | None = None  # the length of all rows, if it is the same

    def place(self, num_tokens: int) -> int:
        """Announces a forward of up to `num_tokens` new tokens per row; returns how many keys it attends to."""
        shortest, longest = (int(end) for end in torch.aminmax(self.lengths))
        self._span = longest + num_tokens
        self._common_end = longest if shortest == longest else None
        return self._span

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Appends to one layer; a model's attention calls this instead of its own cache's.

        Args:
            key_states: [rows, heads, T, head dim], the new tokens.
            value_states: the same shape.
            layer_idx: the layer.

        Returns:
            Views of all keys and values that the forward attends to, [rows, heads, span, head dim].
        """
        num_rows, num_tokens = key_states.shape[0], key_states.shape[2]
        for stores, new in ((self.keys, key_states), (self.values, value_states)):
            if layer_idx == len(stores):
                rows_made, tokens_made = max(num_rows, self._room[0]), max(self._span, self._room[1])
                stores.append(new.new_zeros((rows_made, new.shape[1], tokens_made, new.shape[3])))
            stores[layer_idx] = store = _with_room(stores[layer_idx], num_rows, num_rows, self._span)
            if self._common_end is not None:  # equal lengths, as in the first prefill: a slice is much cheaper
                store[:num_rows, :, self._common_end : self._common_end + num_tokens] = new
                continue
            rows = torch.arange(num_rows, device=new.device)[:, None]
            at = self.lengths[:, None] + torch.arange(num_tokens, device=new.device)  # [rows, T]
            # Two index tensors around a slice move their dimensions to the front: store[rows, :, at] is
            # [rows, T, heads, head dim].
            store[rows, :, at] = new.transpose(1, 2)
        return self.keys[layer_idx][:num_rows, :, : self._span], self.values[layer_idx][:num_rows, :, : self._span]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Length of the longest row."""
        return int(self.lengths.max()) if self.lengths.numel() else 0

    def select(self, rows: Tensor) -> RowCache:
        """A copy of some rows, cut to the longest of them plus a few tokens, so that it need not grow at once."""
        return RowCache.joined([(self, rows, self.lengths[rows])], _SPARE)

    def branch(self, rows: Tensor) -> None:
        """Appends copies of some rows, for contexts that split into several."""
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
        """A new cache from the beginnings of rows of several caches.

        Args:
            parts: for each source a cache, int64 [n] its rows (repeats allowed), and int64 [n] the tokens to copy of
                each.
            spare: tokens that every row can grow by before its storage must.
            room: least rows to allocate.
        """
        lengths = torch.cat([beginnings for _, _, beginnings in parts])
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
                    # One block per source, as long as its longest beginning: a shorter row gets finite entries past
                    # its length, which are masked.
                    copied = int(beginnings.max()) if cache.keys else 0
                    block = store[at : at + len(rows)]
                    if copied:
                        block[:, :, :copied] = getattr(cache, stores)[layer][rows, :, :copied]
                    block[:, :, copied:] = 0
                    at += len(rows)
                getattr(out, stores).append(store)
        return out


def _with_room(store: Tensor, used: int, num_rows: int, span: int) -> Tensor:
    """`store` with room for `num_rows` rows and `span` tokens; grows by at least half, so that copies stay rare."""
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
