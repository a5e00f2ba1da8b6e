"""Causal attention in blocks of queries, for updates in bfloat16 on CPUs.

On a processor, torch's own kernel takes a third of such an update, most of it backwards. Plain batched products over a
block of queries and the keys before it take less than half of that time, and keep each weight once, rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["BlockedAttention", "attended", "attention_gradients", "blocked_attention", "keeps_weights"]

_BLOCK = 64
"""Queries of a block: fewer make small products, more compute keys that no query of the block may see."""

_SCORES = 1 << 23
"""Most weights that are kept for the backward pass, 16 MiB a layer; beyond, the kernel that keeps none is used."""


class BlockedAttention(TorchFunctionMode):
    """Computes `scaled_dot_product_attention` by `blocked_attention` wherever that is right and fast.

    That is: causal, no mask, no dropout, as many keys as queries, bfloat16 on a CPU. All other calls are left alone.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Called for every function of torch."""
        options = dict(kwargs or {})
        if func is F.scaled_dot_product_attention and (found := _in_blocks(*args, **options)) is not None:
            return found
        return func(*args, **options)


def _in_blocks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """The attention, or None where the kernel must compute it."""
    if attn_mask is not None or dropout_p or not is_causal or query.device.type != "cpu":
        return None
    rounded = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    rows, heads, length = query.shape[:-1]
    if rounded != torch.bfloat16 or key.shape[2] != length or not keeps_weights(rows, heads, length):
        return None
    if not enable_gqa and key.shape[1] != heads:
        return None
    return blocked_attention(query.bfloat16(), key.bfloat16(), value.bfloat16(), scale)


def keeps_weights(rows: int, heads: int, length: int) -> bool:
    """Whether the weights of causal attention over so many rows, heads and positions are few enough to be kept."""
    return rows * heads * length * length // 2 <= _SCORES


def blocked_attention(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Causal attention; neighbouring query heads share a key head.

    Args:
        query: [rows, heads, T, dim].
        key: [rows, key heads, T, dim]; `heads` is a multiple of the key heads.
        value: as the keys, with a dimension of its own.
        scale: of the products; dim ** -0.5 by default.

    Returns:
        [rows, heads, T, dim of values], of the queries' dtype. It has gradients.
    """
    with torch.autocast(query.device.type, enabled=False):  # would widen weights to float32
        apply: Callable[..., Tensor] = _Blocked.apply
        return apply(query * (query.shape[-1] ** -0.5 if scale is None else scale), key, value)


class _Blocked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        rows, heads, length, dim = query.shape
        pairs, each = rows * key.shape[1], heads // key.shape[1]
        queries = query.reshape(pairs, each, length, dim)
        keys, values = key.reshape(pairs, length, dim), value.reshape(pairs, length, value.shape[-1])
        out, kept = attended(queries, keys, values)
        ctx.save_for_backward(queries, keys, values, *kept)
        ctx.shapes = query.shape, key.shape, value.shape
        return out.view(rows, heads, length, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, values, *kept = ctx.saved_tensors
        query_shape, key_shape, value_shape = ctx.shapes
        pairs, each, length, _ = queries.shape
        upstream = gradients[0].reshape(pairs, each, length, -1)
        of_queries, of_keys, of_values = attention_gradients(queries, keys, values, kept, upstream)
        return (
            of_queries.view(query_shape),
            of_keys.to(keys.dtype).view(key_shape),
            of_values.to(values.dtype).view(value_shape),
        )


def attended(queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Causal attention in blocks, without a graph. A pair is a row and a key head.

    Args:
        queries: [pairs, query heads of the key head, T, dim], scaled.
        keys: [pairs, T, dim].
        values: [pairs, T, dim of values].

    Returns:
        [pairs, query heads, T, dim of values], and the weights of each block, which the gradients need.
    """
    pairs, each, length, _ = queries.shape
    out = queries.new_empty(pairs, each, length, values.shape[-1])
    later = torch.ones(_BLOCK, _BLOCK, dtype=torch.bool, device=queries.device).triu(1)
    kept = []
    for first in range(0, length, _BLOCK):
        end = min(first + _BLOCK, length)
        size = end - first
        scores = torch.bmm(queries[:, :, first:end].flatten(1, 2), keys[:, :end].transpose(1, 2))
        scores.view(pairs, each, size, end)[..., first:].masked_fill_(later[:size, :size], -torch.inf)
        weights = torch.softmax(scores, -1)  # accumulates in float32
        out[:, :, first:end] = torch.bmm(weights, values[:, :end]).view(pairs, each, size, -1)
        kept.append(weights)
    return out, kept


def attention_gradients(
    queries: Tensor, keys: Tensor, values: Tensor, kept: Sequence[Tensor], upstream: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `attended`.

    Args:
        queries: as there.
        keys: as there.
        values: as there.
        kept: the weights that it returned.
        upstream: [pairs, query heads, T, dim of values].

    Returns:
        Of the queries in their dtype; of the keys and of the values in float32, because they are sums over blocks.
    """
    _, each, length, _ = queries.shape
    of_queries = torch.empty_like(queries)
    of_keys = torch.zeros(keys.shape, device=keys.device)
    of_values = torch.zeros(values.shape, device=values.device)
    for first, weights in zip(range(0, length, _BLOCK), kept):
        end = min(first + _BLOCK, length)
        above = upstream[:, :, first:end].flatten(1, 2)
        of_values[:, :end] += torch.bmm(weights.transpose(1, 2), above)
        of_weights = torch.bmm(above, values[:, :end].transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_queries[:, :, first:end] = torch.bmm(of_scores, keys[:, :end]).view(-1, each, end - first, keys.shape[-1])
        of_keys[:, :end] += torch.bmm(of_scores.transpose(1, 2), queries[:, :, first:end].flatten(1, 2))
    return of_queries, of_keys, of_values
