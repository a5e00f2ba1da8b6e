"""Forwards of Llama-like models for sampling: few large products, weights laid out once, no padding.

`transformers` makes seven products a layer, pads rows to one length and lays weights out again in every call. Here a
layer makes four products over the tokens of all rows laid end to end, and attention reads the cache in place, once for
all query heads that share a key. The residual stream is float32 also in bfloat16, as under autocast in updates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from .attention import below_lora
from .cached_attention import CachedAttention
from .fused_linear import Product, can_be_fused, fused
from .precision import computed_in
from .row_cache import RowCache

__all__ = ["FusedDecoder", "attention_inputs", "is_llama_like", "other_linears"]

_ARCHITECTURES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
_SCALED_BY_LENGTH = frozenset({"dynamic", "longrope"})
"""Rotary embeddings whose frequencies depend on the longest position of the batch."""

_TOKENS = 1024
"""Most tokens of a forward of new text; more would need more memory and fall out of the processor's caches."""


def is_llama_like(model: PreTrainedModel) -> bool:
    """Whether `FusedDecoder` computes exactly what the model's own forward does."""
    causal: Any = below_lora(model)
    config = causal.config
    if config.model_type not in _ARCHITECTURES or hasattr(causal, "unshard"):
        return False
    kinds = set(getattr(config, "layer_types", None) or ())
    slides = getattr(config, "sliding_window", None) is not None and (not kinds or "sliding_attention" in kinds)
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if slides or rope in _SCALED_BY_LENGTH or config.hidden_act != "silu":
        return False
    layers = causal.model.layers
    return not _has_hooks(causal.model) and all(
        can_be_fused(linear) for layer in layers for linear in (*attention_inputs(layer), *other_linears(layer))
    )


def _has_hooks(module: torch.nn.Module) -> bool:
    return any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())


def attention_inputs(layer: Any) -> tuple[Any, ...]:
    """The linear layers of a layer's queries, keys and values."""
    return layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj


def other_linears(layer: Any) -> tuple[Any, ...]:
    """Its other linear layers."""
    return layer.self_attn.o_proj, layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj


@dataclass(frozen=True, slots=True)
class _Layer:
    before_attention: Tensor
    before_mlp: Tensor
    query_norm: Tensor | None
    key_norm: Tensor | None
    qkv: Product
    out: Product
    gate_up: Product
    down: Product


class FusedDecoder:
    """Weights of a Llama-like model in the layout of fast products; a copy, so a trained model needs a new one.

    Args:
        model: `is_llama_like` must hold.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        causal: Any = below_lora(model)
        config = causal.config
        self._causal, self._dtype = causal, computed_in(model)
        self._wide = torch.float32 if self._dtype == torch.bfloat16 else self._dtype  # of the residual stream
        self._heads, self._kv_heads = config.num_attention_heads, config.num_key_value_heads
        self._head_dim = int(getattr(config, "head_dim", None) or config.hidden_size // self._heads)
        self._eps = config.rms_norm_eps
        self._inner = config.intermediate_size
        self._layers = [self._layer(layer) for layer in causal.model.layers]
        self._norm = causal.model.norm.weight.detach().to(self._wide)
        # A head with a hook is called as the module it is.
        head = causal.get_output_embeddings()
        self._head: Any = head if _has_hooks(head) else fused([head], self._dtype)

    def _layer(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        norms = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
        query_norm, key_norm = (None if norm is None else norm.weight.detach().to(self._wide) for norm in norms)
        return _Layer(
            layer.input_layernorm.weight.detach().to(self._wide),
            layer.post_attention_layernorm.weight.detach().to(self._wide),
            query_norm,
            key_norm,
            fused(attention_inputs(layer), self._dtype),
            fused([attention.o_proj], self._dtype),
            fused([mlp.gate_proj, mlp.up_proj], self._dtype),
            fused([mlp.down_proj], self._dtype),
        )

    def next_logits(self, cache: RowCache, new: Sequence[Sequence[int]]) -> Tensor:
        """Reads new tokens of every row; the cache grows by them.

        Args:
            cache: the rows.
            new: [rows][at least one token].

        Returns:
            Logits after the last token of each row, [rows, vocab].
        """
        cache.reserve(len(new), [length + len(ids) for length, ids in zip(cache.lengths.tolist(), new)])
        last: list[Tensor] = []
        for rows, pieces, ends in _portions(new):
            hidden = self._forward(cache, rows, pieces)
            if ends:
                lengths = torch.tensor([len(piece) for piece in pieces], device=hidden.device)
                last.append(hidden[lengths.cumsum(0) - 1])
        wide = torch.cat(last) if len(last) > 1 else last[0]
        logits: Tensor = self._head(_rms_norm(wide, self._norm, self._eps).to(self._dtype))
        return logits

    def computing(self) -> AbstractContextManager[Any]:
        """Nothing to prepare."""
        return nullcontext()

    def _forward(self, cache: RowCache, rows: slice, pieces: Sequence[Sequence[int]]) -> Tensor:
        """The last hidden states [N, hidden] of the N next tokens of some rows, laid end to end."""
        start = cache.lengths[rows].clone()
        ids = torch.tensor([token for piece in pieces for token in piece], device=start.device)
        counts = torch.tensor([len(piece) for piece in pieces], device=start.device)
        span = int((start + counts).max())
        row_of = torch.repeat_interleave(torch.arange(len(counts), device=ids.device), counts)
        offset = torch.arange(len(ids), device=ids.device) - (counts.cumsum(0) - counts)[row_of]
        positions = start[row_of] + offset
        embedded = F.embedding(ids, self._causal.get_input_embeddings().weight).to(self._wide)
        cos, sin = self._causal.model.rotary_emb(embedded[None], positions[None])
        cos, sin = cos[0, :, None], sin[0, :, None]
        attention = CachedAttention(row_of, offset, start, counts, self._kv_heads, self._dtype)
        state = embedded
        both = self._heads + self._kv_heads
        for number, layer in enumerate(self._layers):
            normed = _rms_norm(state, layer.before_attention, self._eps).to(self._dtype)
            heads = layer.qkv(normed).view(len(ids), both + self._kv_heads, self._head_dim)
            rotated = heads[:, :both].to(self._wide)
            if layer.query_norm is not None and layer.key_norm is not None:
                queries = _rms_norm(rotated[:, : self._heads], layer.query_norm, self._eps)
                keys = _rms_norm(rotated[:, self._heads :], layer.key_norm, self._eps)
                rotated = torch.cat([queries, keys], dim=1)
            rotated = rotated * cos + _half_turned(rotated) * sin
            rotated[:, : self._heads] *= self._head_dim**-0.5
            rotated = rotated.to(self._dtype)
            keys, values = cache.write(
                number, rotated[:, self._heads :], heads[:, both:], rows.start + row_of, positions
            )
            mixed = attention(rotated[:, : self._heads], keys[rows, :, :span], values[rows, :, :span])
            state = state + layer.out(mixed)
            normed = _rms_norm(state, layer.before_mlp, self._eps).to(self._dtype)
            gate_up = layer.gate_up(normed)
            state = state + layer.down(F.silu(gate_up[:, : self._inner]) * gate_up[:, self._inner :])
        cache.lengths[rows] += counts
        return state


def _portions(new: Sequence[Sequence[int]]) -> Iterator[tuple[slice, list[Sequence[int]], bool]]:
    """Cuts new tokens into forwards of bounded size.

    Yields:
        Neighbouring rows, the tokens that each of them reads, and whether these are their last ones.
    """
    most = max(_TOKENS, len(new))  # one token each is one forward, however many rows
    at = 0
    while at < len(new):
        if len(new[at]) > most:
            for first in range(0, len(new[at]), most):
                yield slice(at, at + 1), [new[at][first : first + most]], first + most >= len(new[at])
            at += 1
            continue
        end, total, longest = at, 0, 0
        while end < len(new) and total + len(new[end]) <= most:
            longest = max(longest, len(new[end]))
            if longest * (end + 1 - at) > 2 * most:  # attention pads rows to the longest
                break
            total += len(new[end])
            end += 1
        yield slice(at, end), list(new[at:end]), True
        at = end


def _rms_norm(state: Tensor, weight: Tensor, eps: float) -> Tensor:
    normed: Tensor = F.rms_norm(state, (state.shape[-1],), weight, eps)
    return normed


def _half_turned(heads: Tensor) -> Tensor:
    """(x1, x2) -> (-x2, x1) along the last dimension."""
    half = heads.shape[-1] // 2
    return torch.cat((-heads[..., half:], heads[..., :half]), dim=-1)
