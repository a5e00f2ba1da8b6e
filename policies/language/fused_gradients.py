"""The operations of a Llama-like layer with their gradients written out, for updates of LoRA's matrices.

Automatic differentiation keeps and passes over a dozen intermediate tensors a layer that these gradients do not need.
Products are in the dtype of the weights; the residual stream, norms and rotations are wider, as under autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .blocked_attention import attended, attention_gradients
from .fused_linear import FrozenProduct

__all__ = ["Rotation", "adapted", "attention", "gated", "normed"]


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotary positions of a batch.

    Attributes:
        cos: [T, heads + key heads, dim / 2]; those of query heads hold the scale of attention.
        sin: the same.
        rows: B.
        heads: of queries.
        key_heads: of keys, and of values.
    """

    cos: Tensor
    sin: Tensor
    rows: int
    heads: int
    key_heads: int


def normed(state: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """RMS norm [N, hidden] of the stream, in `dtype`; the weight does not train."""
    apply: Callable[..., Tensor] = _Normed.apply
    return apply(state, weight, eps, dtype)


def adapted(inputs: Tensor, frozen: FrozenProduct, down: Tensor | None, up: Tensor | None) -> Tensor:
    """The product [N, out] of inputs [N, in] with frozen weights and, beside them, LoRA's.

    Args:
        inputs: [N, in].
        frozen: the frozen weights.
        down: [rank, in]; None without LoRA.
        up: [rank, out], scaled.
    """
    apply: Callable[..., Tensor] = _Adapted.apply
    return apply(inputs, frozen, down, up)


def attention(projected: Tensor, rotation: Rotation) -> Tensor:
    """Causal attention [N, heads * dim] of queries, keys and values side by side, [N, (heads + 2 key heads) * dim]."""
    apply: Callable[..., Tensor] = _Attention.apply
    return apply(projected, rotation)


def gated(gate_up: Tensor) -> Tensor:
    """silu(gate) * up [N, inner] of both side by side, [N, 2 * inner]."""
    apply: Callable[..., Tensor] = _Gated.apply
    return apply(gate_up)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, state: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        inverse = state.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(state, weight, inverse)
        return (state * inverse).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        state, weight, inverse = ctx.saved_tensors
        upstream = gradients[0] * weight  # float32, as the weight
        along = (upstream * state).mean(-1, keepdim=True).mul_(inverse.pow(3))
        return upstream.mul_(inverse).addcmul_(state, along, value=-1.0), None, None, None


class _Adapted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, frozen: FrozenProduct, down: Tensor | None, up: Tensor | None) -> Tensor:
        ctx.frozen = frozen
        out = frozen.forward(inputs)
        if down is None or up is None:
            return out
        narrow = F.linear(inputs, down)
        ctx.save_for_backward(inputs, narrow, down, up)
        return torch.addmm(out, narrow, up, out=out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        upstream = gradients[0]
        of_inputs = ctx.frozen.backward(upstream)
        if not ctx.saved_tensors:
            return of_inputs, None, None, None
        inputs, narrow, down, up = ctx.saved_tensors
        of_narrow = F.linear(upstream, up)
        torch.addmm(of_inputs, of_narrow, down, out=of_inputs)
        return of_inputs, None, of_narrow.t() @ inputs, narrow.t() @ upstream


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, rotation: Rotation) -> Tensor:
        length, both, half = rotation.cos.shape
        rows, heads, key_heads = rotation.rows, rotation.heads, rotation.key_heads
        parts = projected.view(rows, length, both + key_heads, 2 * half)
        first, second = (
            parts[:, :, :both, :half].to(rotation.cos.dtype),
            parts[:, :, :both, half:].to(rotation.cos.dtype),
        )
        turned = projected.new_empty(rows, both, length, 2 * half)
        turned[..., :half] = (first * rotation.cos).addcmul_(second, rotation.sin, value=-1.0).transpose(1, 2)
        turned[..., half:] = (second * rotation.cos).addcmul_(first, rotation.sin).transpose(1, 2)
        queries = turned[:, :heads].reshape(rows * key_heads, heads // key_heads, length, 2 * half)
        keys = turned[:, heads:].reshape(rows * key_heads, length, 2 * half)
        values = parts[:, :, both:].transpose(1, 2).reshape(keys.shape)
        out, kept = attended(queries, keys, values)
        ctx.save_for_backward(queries, keys, values, *kept)
        ctx.rotation = rotation
        return out.view(rows, heads, length, -1).transpose(1, 2).reshape(rows * length, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, *kept = ctx.saved_tensors
        rotation: Rotation = ctx.rotation
        length, both, half = rotation.cos.shape
        rows, heads, key_heads = rotation.rows, rotation.heads, rotation.key_heads
        upstream = gradients[0].view(rows, length, heads, 2 * half).transpose(1, 2).reshape(queries.shape)
        of_queries, of_keys, of_values = attention_gradients(queries, keys, values, kept, upstream)
        out = gradients[0].new_empty(rows, length, both + key_heads, 2 * half)
        out[:, :, both:] = of_values.view(rows, key_heads, length, -1).transpose(1, 2)
        for part, turned in ((slice(heads), of_queries), (slice(heads, both), of_keys)):
            at = turned.view(rows, -1, length, 2 * half).transpose(1, 2).to(rotation.cos.dtype)
            cos, sin = rotation.cos[:, part], rotation.sin[:, part]
            out[:, :, part, :half] = (at[..., :half] * cos).addcmul_(at[..., half:], sin)
            out[:, :, part, half:] = (at[..., half:] * cos).addcmul_(at[..., :half], sin, value=-1.0)
        return out.view(rows * length, -1), None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, -1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor]:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        out = torch.empty_like(gate_up)
        of_gate, of_up = out.chunk(2, -1)
        torch.mul(gradients[0], F.silu(gate), out=of_up)
        torch.ops.aten.silu_backward.grad_input(gradients[0] * up, gate, grad_input=of_gate)
        return (out,)
