"""Products with weights that are laid out once: several linear layers of the same input as one, LoRA beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["FrozenProduct", "Product", "can_be_fused", "frozen_product", "fused"]

Product = Callable[[Tensor], Tensor]
"""[N, in] -> [N, out]."""

_LARGE = 1 << 16
"""Weights of a matrix from which the layout of oneDNN pays; below, its calls cost more than they save."""


def can_be_fused(linear: Any) -> bool:
    """Whether it is a plain linear layer, or one with the matrices of a single plain LoRA adapter."""
    base = getattr(linear, "base_layer", linear)
    if type(base) is not torch.nn.Linear:
        return False
    if base is linear:
        return True
    plain = not any(getattr(linear, "use_dora", {}).values()) and not linear.merged
    return plain and linear.active_adapters == ["default"] and not linear.disable_adapters


def fused(linears: Sequence[Any], dtype: torch.dtype) -> Product:
    """One product for linear layers that read the same input; its outputs follow one another.

    Args:
        linears: `can_be_fused` must hold for each.
        dtype: of the product.
    """
    bases = [getattr(linear, "base_layer", linear) for linear in linears]
    with torch.no_grad():
        product = _laid_out(*_side_by_side(bases, dtype))
        if all(base is linear for base, linear in zip(bases, linears)):
            return product
        down, up = (matrix.to(dtype) for matrix in _adapters(linears, bases))
    return lambda state: torch.addmm(product(state), F.linear(state, down), up)


@dataclass(frozen=True, slots=True)
class FrozenProduct:
    """A product with weights that do not train.

    Attributes:
        forward: [N, in] -> [N, out].
        backward: gradient [N, out] -> gradient [N, in].
    """

    forward: Product
    backward: Product


def frozen_product(bases: Sequence[torch.nn.Linear], dtype: torch.dtype) -> FrozenProduct:
    """One product for plain linear layers that read the same input, laid out for both directions."""
    with torch.no_grad():
        weight, bias = _side_by_side(bases, dtype)
        return FrozenProduct(_laid_out(weight, bias), _laid_out(weight.t().contiguous(), None))


def _side_by_side(bases: Sequence[Any], dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    weight = torch.cat([base.weight.detach() for base in bases]).to(dtype)
    biased = any(base.bias is not None for base in bases)
    return weight, torch.cat([_bias_of(base) for base in bases]).to(dtype) if biased else None


def _bias_of(base: Any) -> Tensor:
    bias: Tensor = base.weight.new_zeros(base.out_features) if base.bias is None else base.bias.detach()
    return bias


def _adapters(linears: Sequence[Any], bases: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """LoRA's matrices of all layers, [ranks, in] and block-diagonal [ranks, out]; layers without LoRA have rank 0."""
    downs, ups = [], []
    for linear, base in zip(linears, bases):
        if base is linear:
            downs.append(base.weight.new_zeros((0, base.in_features)))
            ups.append(base.weight.new_zeros((0, base.out_features)))
            continue
        downs.append(linear.lora_A["default"].weight.detach())
        ups.append(linear.lora_B["default"].weight.detach().t() * linear.scaling["default"])
    return torch.cat(downs), torch.block_diag(*ups)


def _laid_out(weight: Tensor, bias: Tensor | None) -> Product:
    """The product in the layout of oneDNN, which multiplies few rows about twice as fast; else the plain one."""
    packed = _packed(weight)
    if packed is None:
        return lambda state: F.linear(state, weight, bias)
    multiply: Any = torch.ops.mkldnn._linear_pointwise
    return lambda state: multiply(state, packed, bias, "none", [], "")


def _packed(weight: Tensor) -> Any:
    """The weight in oneDNN's layout; None where torch has none for it."""
    fits = weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.bfloat16) and weight.numel() >= _LARGE
    if not fits or not torch.backends.mkldnn.is_available():
        return None
    try:
        with torch.inference_mode():
            packed = torch.ops.mkldnn._reorder_linear_weight(weight, 32)
            torch.ops.mkldnn._linear_pointwise(weight.new_zeros((1, weight.shape[1])), packed, None, "none", [], "")
    except (RuntimeError, AttributeError, NotImplementedError):
        return None
    return packed
