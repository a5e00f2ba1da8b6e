"""Attention of new tokens to the rows of a cache, once for all query heads that share a key."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import additive_mask

__all__ = ["CachedAttention"]


class CachedAttention:
    """Attention of new tokens, laid end to end, to their own rows of the cache; the same for all layers.

    Args:
        row_of: int64 [N], the row of each token.
        offset: int64 [N], its place among the new tokens of the row.
        start: int64 [rows], tokens that a row had before.
        most: the most new tokens of a row.
        span: tokens of the longest row, the new ones included.
        kv_heads: heads of keys.
        dtype: of queries, keys and values.
    """

    def __init__(
        self, row_of: Tensor, offset: Tensor, start: Tensor, most: int, span: int, kv_heads: int, dtype: torch.dtype
    ) -> None:
        self._where, self._most, self._kv_heads = (row_of, offset), most, kv_heads
        self._rows = len(start)
        self._ragged = self._rows * most != len(row_of)
        queries = start[:, None] + torch.arange(most, device=start.device)
        visible = torch.arange(span, device=start.device) <= queries[:, :, None]  # [rows, most, span]
        self._visible = visible
        self._mask: Tensor | None = None
        self._dtype = dtype

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """[N, heads, dim] queries against [rows, kv heads, span, dim] -> [N, heads * dim]."""
        if self._most == 1:
            return self._one_token(queries, keys, values)
        groups = queries.shape[1] // self._kv_heads
        if self._mask is None:
            mask = additive_mask(self._visible[:, None], self._dtype)  # [rows, 1, most, span]
            self._mask = mask.repeat(1, 1, groups, 1)
        padded = queries
        if self._ragged:
            padded = queries.new_zeros((self._rows, self._most, *queries.shape[1:]))
            padded[self._where] = queries
        # [rows, most, kv heads * groups, dim] -> [rows, kv heads, groups * most, dim]
        shape = (self._rows, self._most, self._kv_heads, groups, queries.shape[2])
        folded = padded.reshape(shape).permute(0, 2, 3, 1, 4).flatten(2, 3)
        mixed: Tensor = F.scaled_dot_product_attention(folded, keys, values, attn_mask=self._mask)
        mixed = mixed.unflatten(2, (groups, self._most)).permute(0, 3, 1, 2, 4).flatten(2)  # [rows, most, heads * dim]
        return mixed[self._where] if self._ragged else mixed.flatten(0, 1)

    def _one_token(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same for one token a row: two batched products over (row, kv head), which read the cache in place."""
        rows, heads, dim = queries.shape
        span, groups = keys.shape[2], heads // self._kv_heads
        if self._mask is None:
            wide = torch.float64 if self._dtype == torch.float64 else torch.float32
            self._mask = additive_mask(self._visible[:, None], wide)  # [rows, 1, 1, span]
        scores = torch.bmm(
            queries.reshape(rows * self._kv_heads, groups, dim), keys.flatten(0, 1).transpose(1, 2)
        ).view(rows, self._kv_heads, groups, span)
        weights = torch.softmax(scores.to(self._mask.dtype).mul_(dim**-0.5).add_(self._mask), -1).to(self._dtype)
        mixed = torch.bmm(weights.view(rows * self._kv_heads, groups, span), values.flatten(0, 1))
        return mixed.view(rows, heads * dim)
