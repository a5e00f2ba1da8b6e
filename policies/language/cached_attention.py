"""Attention of new tokens to the rows of a cache, once for all query heads that share a key."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import additive_mask

__all__ = ["CachedAttention"]


_SCORES = 1 << 24
"""Most attention scores held at a time; beyond, a kernel that never holds them is slower but needs no memory."""

_WASTE = 4096
"""Padded scores per row and head from which rows are computed one by one, which costs more calls."""


class CachedAttention:
    """Attention of new tokens, laid end to end, to their own rows of the cache; the same for all layers.

    Batched products over (row, kv head) read the cache in place. On a CPU they are several times as fast as
    `scaled_dot_product_attention`, which lays out every block of keys again.

    Args:
        row_of: int64 [N], the row of each token.
        offset: int64 [N], its place among the new tokens of the row.
        start: int64 [rows], tokens that a row had before.
        counts: int64 [rows], its new tokens.
        kv_heads: heads of keys.
        dtype: of queries, keys and values.
    """

    def __init__(
        self, row_of: Tensor, offset: Tensor, start: Tensor, counts: Tensor, kv_heads: int, dtype: torch.dtype
    ) -> None:
        self._where, self._rows, self._kv_heads = (row_of, offset), len(start), kv_heads
        self._counts, self._ends = counts.tolist(), (start + counts).tolist()
        self._most, self._span = most, span = max(self._counts), max(self._ends)
        needed = sum(count * end for count, end in zip(self._counts, self._ends))
        self._apart = self._rows * most * span - needed > _WASTE * self._rows
        queries = start[:, None] + torch.arange(most, device=start.device)
        visible = torch.arange(span, device=start.device) <= queries[:, :, None]
        self._mask = additive_mask(visible[:, None], dtype)  # [rows, 1, most, span]

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        if self._apart:
            return self._row_by_row(queries, keys, values)
        return self._together(queries, keys, values)

    def _row_by_row(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """For rows of different lengths and many new tokens: each against no more keys than it has."""
        groups, dim = queries.shape[1] // self._kv_heads, queries.shape[2]
        out = []
        for row, part in enumerate(queries.split(self._counts)):
            count, end = self._counts[row], self._ends[row]
            # [count, kv heads * groups, dim] -> [1, kv heads, groups * count, dim]
            folded = part.view(count, self._kv_heads, groups, dim).permute(1, 2, 0, 3).flatten(1, 2)[None]
            mask = self._mask[row : row + 1, :, :count, :end]
            mixed = self._attend(folded, keys[row : row + 1, :, :end], values[row : row + 1, :, :end], mask)
            out.append(mixed[0].unflatten(1, (groups, count)).permute(2, 0, 1, 3).flatten(1))
        return torch.cat(out)

    def _together(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same in products over all rows, padded to the longest."""
        ragged = self._rows * self._most != len(queries)
        padded = queries
        if ragged:
            padded = queries.new_zeros((self._rows, self._most, *queries.shape[1:]))
            padded[self._where] = queries
        groups, dim = queries.shape[1] // self._kv_heads, queries.shape[2]
        # [rows, most, kv heads * groups, dim] -> [rows, kv heads, groups * most, dim]
        shape = (self._rows, self._most, self._kv_heads, groups, dim)
        folded = padded.reshape(shape).permute(0, 2, 3, 1, 4).flatten(2, 3)
        mixed = self._attend(folded, keys, values, self._mask)
        mixed = mixed.unflatten(2, (groups, self._most)).permute(0, 3, 1, 2, 4).flatten(2)  # [rows, most, heads * dim]
        laid_out: Tensor = mixed[self._where] if ragged else mixed.flatten(0, 1)
        return laid_out

    @staticmethod
    def _attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """[rows, kv heads, groups * most, dim] queries under a mask [rows, 1, most, span]; the same shape out."""
        rows, kv_heads, length, dim = queries.shape
        most, span = mask.shape[2:]
        if rows * kv_heads * length * span > _SCORES:
            repeated = mask.repeat(1, 1, length // most, 1)
            blocks: Tensor = F.scaled_dot_product_attention(queries, keys, values, attn_mask=repeated, scale=1.0)
            return blocks
        scores = torch.bmm(queries.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2))
        scores.view(rows, kv_heads * length // most, most, span).add_(mask)  # kv heads and groups apart
        weights = torch.softmax(scores, -1)  # accumulates in float32
        return torch.bmm(weights, values.flatten(0, 1)).view(rows, kv_heads, length, dim)
