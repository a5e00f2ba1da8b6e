"""Attention of new tokens to the rows of a cache, once for all query heads that share a key."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import additive_mask

__all__ = ["CachedAttention"]


_SCORES = 1 << 24
"""Most attention scores held at a time; beyond, a kernel that never holds them is slower but needs no memory."""


class CachedAttention:
    """Attention of new tokens, laid end to end, to their own rows of the cache; the same for all layers.

    Batched products over (row, kv head) read the cache in place. On a CPU they are several times as fast as
    `scaled_dot_product_attention`, which lays out every block of keys again.

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
        self._where, self._rows, self._most, self._span = (row_of, offset), len(start), most, span
        self._kv_heads, self._dtype = kv_heads, dtype
        self._wide = torch.float64 if dtype == torch.float64 else torch.float32
        queries = start[:, None] + torch.arange(most, device=start.device)
        visible = torch.arange(span, device=start.device) <= queries[:, :, None]
        self._mask = additive_mask(visible[:, None], self._wide)  # [rows, 1, most, span]

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """[N, heads, dim] queries against [rows, kv heads, span, dim] -> [N, heads * dim]."""
        ragged = self._rows * self._most != len(queries)
        padded = queries
        if ragged:
            padded = queries.new_zeros((self._rows, self._most, *queries.shape[1:]))
            padded[self._where] = queries
        groups, dim = queries.shape[1] // self._kv_heads, queries.shape[2]
        # [rows, most, kv heads * groups, dim] -> [rows, kv heads, groups * most, dim]
        shape = (self._rows, self._most, self._kv_heads, groups, dim)
        folded = padded.reshape(shape).permute(0, 2, 3, 1, 4).flatten(2, 3)
        whole = folded.shape[0] * folded.shape[1] * folded.shape[2] * self._span <= _SCORES
        mixed = (self._in_two_products if whole else self._in_blocks)(folded, keys, values)
        mixed = mixed.unflatten(2, (groups, self._most)).permute(0, 3, 1, 2, 4).flatten(2)  # [rows, most, heads * dim]
        laid_out: Tensor = mixed[self._where] if ragged else mixed.flatten(0, 1)
        return laid_out

    def _in_two_products(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """[rows, kv heads, groups * most, dim], the same shape out."""
        rows, kv_heads, length, dim = queries.shape
        scores = torch.bmm(queries.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2)).to(self._wide)
        apart = scores.view(rows, length * kv_heads // self._most, self._most, self._span)  # (kv head, group) apart
        apart.mul_(dim**-0.5).add_(self._mask)
        weights = torch.softmax(scores, -1).to(self._dtype)
        return torch.bmm(weights, values.flatten(0, 1)).view(rows, kv_heads, length, dim)

    def _in_blocks(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same without holding all scores."""
        mask = self._mask.to(self._dtype).clamp_min(torch.finfo(self._dtype).min)
        mask = mask.repeat(1, 1, queries.shape[2] // self._most, 1)
        mixed: Tensor = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return mixed
