"""Forwards of Llama-like models for updates of LoRA's matrices in bfloat16 on CPUs, faster than under autocast.

Under autocast, `transformers` and `peft` make twenty-one products a layer, round every frozen weight in every forward
and keep a dozen tensors a layer for the backward pass. Here a layer makes four products with weights that are rounded
and laid out once, each with LoRA's two thin ones beside it; see `fused_gradients`. Three quarters of the time that is
left are products that any forward must make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from .attention import below_lora
from .blocked_attention import keeps_weights
from .fused import attention_inputs, is_llama_like, other_linears
from .fused_gradients import Rotation, adapted, attention, gated, normed
from .fused_linear import FrozenProduct, frozen_product
from .precision import computed_in

__all__ = ["FusedUpdate", "fused_update"]


def fused_update(model: PreTrainedModel, rows: int, length: int) -> FusedUpdate | None:
    """The fused forward of a model for a batch of that shape; None where the model's own must be used.

    It is kept by the model, because its weights are laid out once; it is made anew after they have changed.
    """
    causal: Any = below_lora(model)
    config = causal.config
    if model is causal or model.device.type != "cpu" or computed_in(model) != torch.bfloat16:
        return None
    if not rows or not keeps_weights(rows, config.num_attention_heads, length):
        return None
    kept: _Kept | None = getattr(causal, "berrypick_update", None)
    version = tuple((weight.data_ptr(), weight._version) for weight in _frozen(model))
    if kept is None or kept.version != version:
        fits = is_llama_like(model) and _trains_lora_alone(model)
        kept = _Kept(version, FusedUpdate(model) if fits else None)
        causal.berrypick_update = kept
    return kept.forward


@dataclass
class _Kept:
    version: tuple[Any, ...] = ()
    forward: FusedUpdate | None = None

    def __deepcopy__(self, memo: Any) -> _Kept:
        """A copied model lays out its own weights."""
        return _Kept()


def _frozen(model: PreTrainedModel) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if not parameter.requires_grad]


def _trains_lora_alone(model: PreTrainedModel) -> bool:
    """Also: nothing drops out, and no head has a norm of its own."""
    causal: Any = below_lora(model)
    for layer in causal.model.layers:
        if getattr(layer.self_attn, "q_norm", None) is not None:
            return False
        for linear in (*attention_inputs(layer), *other_linears(layer)):
            dropout = getattr(linear, "lora_dropout", {})
            if any(type(each) is not torch.nn.Identity for each in dropout.values()):
                return False
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    head = causal.get_output_embeddings()
    plain = type(head) is torch.nn.Linear and not head._forward_hooks and not head._forward_pre_hooks
    return plain and all(".lora_A.default." in name or ".lora_B.default." in name for name in names)


@dataclass(frozen=True, slots=True)
class _Adapted:
    """Linear layers that read the same input, as one product: frozen weights laid out, LoRA's read in every forward."""

    linears: Sequence[Any]
    frozen: FrozenProduct
    dtype: torch.dtype

    def __call__(self, inputs: Tensor) -> Tensor:
        with_lora = [linear for linear in self.linears if hasattr(linear, "lora_A")]
        if not with_lora:
            return adapted(inputs, self.frozen, None, None)
        down = torch.cat([linear.lora_A["default"].weight for linear in with_lora]).to(self.dtype)
        ups: list[Tensor] = []
        for linear in self.linears:
            if linear in with_lora:
                ups.append(linear.lora_B["default"].weight.t() * linear.scaling["default"])
            else:
                ups.append(down.new_zeros((0, linear.out_features)))
        return adapted(inputs, self.frozen, down, torch.block_diag(*ups).to(self.dtype))


@dataclass(frozen=True, slots=True)
class _Layer:
    before_attention: Tensor
    before_mlp: Tensor
    qkv: _Adapted
    out: _Adapted
    gate_up: _Adapted
    down: _Adapted


class FusedUpdate:
    """A Llama-like model with its frozen weights laid out twice, once for each direction.

    Args:
        model: `is_llama_like` must hold, and LoRA's matrices alone train.
        dtype: of the products.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype = torch.bfloat16) -> None:
        causal: Any = below_lora(model)
        config = causal.config
        self._causal, self._dtype = causal, dtype
        self._wide = torch.float32 if dtype == torch.bfloat16 else dtype  # of the residual stream
        self._heads, self._key_heads = config.num_attention_heads, config.num_key_value_heads
        self._head_dim = int(getattr(config, "head_dim", None) or config.hidden_size // self._heads)
        self._eps = config.rms_norm_eps
        self._layers = [self._layer(layer) for layer in causal.model.layers]
        self._norm = causal.model.norm.weight.detach().to(self._wide)
        self._head = frozen_product([causal.get_output_embeddings()], dtype)

    def _layer(self, layer: Any) -> _Layer:
        return _Layer(
            layer.input_layernorm.weight.detach().to(self._wide),
            layer.post_attention_layernorm.weight.detach().to(self._wide),
            self._product(attention_inputs(layer)),
            self._product([layer.self_attn.o_proj]),
            self._product([layer.mlp.gate_proj, layer.mlp.up_proj]),
            self._product([layer.mlp.down_proj]),
        )

    def _product(self, linears: Sequence[Any]) -> _Adapted:
        bases = [getattr(linear, "base_layer", linear) for linear in linears]
        return _Adapted(tuple(linears), frozen_product(bases, self._dtype), self._dtype)

    def logits(self, ids: Tensor, wanted: Tensor) -> Tensor:
        """Next-token logits with gradients of LoRA's matrices.

        Args:
            ids: int64 [B, T], padded on the right.
            wanted: bool [B, T], the positions to return.

        Returns:
            [number of wanted, vocab], in row-major order.
        """
        rotation = self._rotation(ids)
        state = F.embedding(ids.flatten(), self._causal.get_input_embeddings().weight).to(self._wide)
        for layer in self._layers:
            inputs = normed(state, layer.before_attention, self._eps, self._dtype)
            state = state + layer.out(attention(layer.qkv(inputs), rotation))
            inputs = normed(state, layer.before_mlp, self._eps, self._dtype)
            state = state + layer.down(gated(layer.gate_up(inputs)))
        last = normed(state[wanted.flatten()], self._norm, self._eps, self._dtype)
        return adapted(last, self._head, None, None)

    def _rotation(self, ids: Tensor) -> Rotation:
        rows, length = ids.shape
        positions = torch.arange(length, device=ids.device)
        narrow = torch.empty((1, length, self._head_dim), dtype=self._wide, device=ids.device)
        tables = self._causal.model.rotary_emb(narrow, positions[None])
        scales = torch.ones(self._heads + self._key_heads, 1, dtype=self._wide, device=ids.device)
        scales[: self._heads] = self._head_dim**-0.5
        cos, sin = (table[0, :, None, : self._head_dim // 2] * scales for table in tables)
        return Rotation(cos, sin, rows, self._heads, self._key_heads)
