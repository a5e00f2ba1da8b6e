"""A key-value cache in which every row has its own length, so that contexts of different lengths share a forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

__all__ = ["RowCache", "Slot"]


_SPARE = 32
"""Tokens that a copied row can grow by before its storage must."""


@dataclass(slots=True)
class Slot:
    """Where a cache holds a row. Rows move when others stop or split; their slots follow."""

    at: int


class RowCache(Cache):  # type: ignore[misc]
    """Keys and values of contexts, one per row: entry j of row r belongs to the row's j-th token.

    The cache of `transformers` pads rows to one length and appends to all of them at the same column. Here each row is
    left-aligned and appended at its own end, so a row that waits wastes no columns.

    Attributes:
        keys: a tensor for each layer, [rows allocated, heads, tokens allocated, head dim].
        values: the same shapes.
        lengths: int64 [rows in use], tokens of each row. Entries past a row's length are masked, but they must be
            finite: attention multiplies them by 0, and 0 times NaN is NaN. Hence the zero fills below.
        slots: of the rows in use, then of those that `retire` has put behind them.

    Args:
        lengths: int64 [rows].
        room: least rows and tokens to allocate; `branch` uses the spare rows.
    """

    def __init__(self, lengths: Tensor, room: tuple[int, int] = (0, 0)) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.lengths = lengths
        self.slots = [Slot(at) for at in range(len(lengths))]
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._room = room
        self._span = 0  # tokens that the announced forward attends to
        self._common_end: int | None = None  # the length of all rows, if it is the same

    def place(self, num_tokens: int) -> int:
        """Announces a forward of up to `num_tokens` new tokens per row; returns how many keys it attends to."""
        shortest, longest = (int(end) for end in torch.aminmax(self.lengths))
        self.reserve(len(self.lengths), [longest + num_tokens])
        self._common_end = longest if shortest == longest else None
        return self._span

    def reserve(self, num_rows: int, lengths: Sequence[int]) -> None:
        """Announces how long the rows are about to become."""
        self._span = max(lengths)
        self._room = (max(num_rows, self._room[0]), max(self._span, self._room[1]))

    def write(self, layer: int, keys: Tensor, values: Tensor, rows: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Writes tokens of any rows into one layer, whose room `reserve` has announced.

        Args:
            layer: the layer.
            keys: [N, heads, head dim].
            values: the same shape.
            rows: int64 [N].
            positions: int64 [N].

        Returns:
            All keys and values, [rows allocated, heads, tokens allocated, head dim].
        """
        out = []
        for stores, new in ((self.keys, keys), (self.values, values)):
            store = self._store(stores, layer, new[:, :, None])
            heads, capacity = store.shape[1], store.shape[2]
            # The same flat places serve keys and values; one index is much cheaper than three.
            at = (rows[:, None] * heads + torch.arange(heads, device=rows.device)) * capacity + positions[:, None]
            store.view(-1, store.shape[3]).index_copy_(0, at.flatten(), new.reshape(-1, store.shape[3]))
            out.append(store)
        return out[0], out[1]

    def _store(self, stores: list[Tensor], layer: int, like: Tensor) -> Tensor:
        """A layer's keys or values with the announced room; made if there is none, of the format of `like`."""
        num_rows, num_tokens = self._room
        if layer == len(stores):
            stores.append(like.new_zeros((num_rows, like.shape[1], num_tokens, like.shape[3])))
        stores[layer] = _with_room(stores[layer], len(self.slots), max(num_rows, len(self.slots)), self._span)
        return stores[layer]

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
            store = self._store(stores, layer_idx, new)
            if self._common_end is not None:  # equal lengths, as in the first prefill: a slice is much cheaper
                store[:num_rows, :, self._common_end : self._common_end + num_tokens] = new
                continue
            rows = torch.arange(num_rows, device=new.device)[:, None]
            at = self.lengths[:, None] + torch.arange(num_tokens, device=new.device)  # [rows, T]
            # Two index tensors around a slice move their dimensions to the front: store[rows, :, at] is
            # [rows, T, heads, head dim].
            store[rows, :, at] = new.transpose(1, 2).to(store.dtype)
        return self.keys[layer_idx][:num_rows, :, : self._span], self.values[layer_idx][:num_rows, :, : self._span]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Length of the longest row."""
        return int(self.lengths.max()) if self.lengths.numel() else 0

    def select(self, rows: Tensor) -> RowCache:
        """A copy of some rows, cut to the longest of them plus a few tokens, so that it need not grow at once."""
        return RowCache.joined([(self, rows, self.lengths[rows])], _SPARE)

    def branch(self, rows: Tensor) -> None:
        """Adds copies of some rows, for contexts that split into several, behind the rows in use."""
        before, total, new = len(self.lengths), len(self.slots), len(rows)
        moved = min(new, total - before)  # retired rows that stand where the copies go
        span = self._used()
        for stores in (self.keys, self.values):
            for layer, store in enumerate(stores):
                stores[layer] = store = _with_room(store, total, total + new, store.shape[2])
                if moved:
                    store[total + new - moved : total + new] = store[before : before + moved]
                store[before : before + new, :, :span] = store[rows, :, :span]
                store[before : before + new, :, span:] = 0
        self.slots[before:] = [
            *(Slot(at) for at in range(before, before + new)),
            *self.slots[before + moved :],
            *self.slots[before : before + moved],
        ]
        self._renumber()
        self.lengths = torch.cat([self.lengths, self.lengths[rows]])

    def retire(self, stopped: Sequence[int]) -> list[int]:
        """Moves rows that do not go on behind those that do, so that forwards need not compute them.

        Only rows that change their place are copied.

        Returns:
            For each row now in use, where it was.
        """
        keep = len(self.lengths) - len(stopped)
        gone = set(stopped)
        holes = [at for at in stopped if at < keep]
        movers = [at for at in range(keep, len(self.lengths)) if at not in gone]
        order = list(range(len(self.lengths)))
        for hole, mover in zip(holes, movers):
            order[hole], order[mover] = mover, hole
            self.slots[hole], self.slots[mover] = self.slots[mover], self.slots[hole]
        if holes:
            span = self._used()
            to, source = (
                torch.tensor(places, device=self.lengths.device) for places in (holes + movers, movers + holes)
            )
            for store in (*self.keys, *self.values):
                store[to, :, :span] = store[source, :, :span]
            self._renumber()
        self.lengths = self.lengths[torch.tensor(order[:keep], dtype=torch.int64, device=self.lengths.device)]
        return order[:keep]

    def _used(self) -> int:
        """Tokens of the longest row that was ever in use."""
        return min(self._span, self.keys[0].shape[2]) if self.keys else 0

    def _renumber(self) -> None:
        for at, slot in enumerate(self.slots):
            slot.at = at

    @staticmethod
    def joined(
        parts: Sequence[tuple[RowCache, Tensor, Tensor]], spare: int, room: int = 0, *, consumes: bool = False
    ) -> RowCache:
        """A new cache from the beginnings of rows of several caches.

        Args:
            parts: for each source a cache, int64 [n] its rows (repeats allowed), and int64 [n] the tokens to copy of
                each.
            spare: tokens that every row can grow by before its storage must.
            room: least rows to allocate.
            consumes: empties the sources layer by layer, so that old and new keys are never all in memory.
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
                    if consumes and copied:
                        getattr(cache, stores)[layer] = block[:0]
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
