"""Number formats. Weights that train are float32; with bfloat16, forwards and backwards round them where they multiply.

bfloat16 has 8 significant bits. A weight stored in it loses every update below a 256th of the weight, which is most of
them at usual learning rates. So only weights that do not train are stored in bfloat16.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch

from ...retrieval_index.errors import BerrypickError
from .attention import below_lora

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = [
    "DTYPES",
    "autocast",
    "choose_dtype",
    "compute_in",
    "computed_in",
    "multiplies_bfloat16",
    "store_in",
    "trainable",
]

logger = logging.getLogger(__name__)

DTYPES = ("float32", "bfloat16", "auto")
"""The formats that a policy can compute in; "auto" is bfloat16 if the processor multiplies matrices in it."""


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The format of that name; "auto" depends on the device.

    Raises:
        BerrypickError: there is no such format.
    """
    if name not in DTYPES:
        raise BerrypickError(f'dtype {name!r} is not supported; choose "float32", "bfloat16" or "auto"')
    if name == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    return torch.float32 if name == "float32" else torch.bfloat16


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16 matrices; emulated, they are slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    checks: tuple[Any, ...] = (
        getattr(torch.cpu, "_is_avx512_bf16_supported", None),
        getattr(torch.cpu, "_is_amx_tile_supported", None),
    )
    return any(check is not None and check() for check in checks)


def store_in(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Converts the weights in place. Buffers keep their format: rounded rotary frequencies would be wrong."""
    for parameter in model.parameters():
        if parameter.dtype != dtype:
            parameter.data = parameter.data.to(dtype)


def compute_in(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Makes forwards of the model round to `dtype`; its weights stay as they are.

    The choice is an attribute of the model itself, so that copies (a reference model, shards) compute alike.
    """
    below_lora(model).berrypick_dtype = dtype


def computed_in(model: PreTrainedModel) -> torch.dtype:
    """The format that the model computes in: what `compute_in` chose, else that of its weights."""
    base = below_lora(model)
    chosen: torch.dtype = getattr(base, "berrypick_dtype", base.dtype)
    return chosen


def autocast(model: PreTrainedModel) -> AbstractContextManager[Any]:
    """The context of a forward: products in bfloat16 if the model computes in it, sums and norms in float32.

    Backward passes belong outside; they use the format of their forward.
    """
    rounds = computed_in(model) == torch.bfloat16
    # A context without its cache of rounded weights would round them again for each use; one that is left open would
    # serve stale weights after an update. So each forward has its own.
    return torch.autocast(model.device.type, torch.bfloat16, enabled=rounds)


def trainable(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """The parameters that train, widened to float32 in place if they were stored in fewer bits."""
    found = [parameter for parameter in model.parameters() if parameter.requires_grad]
    narrow = [parameter for parameter in found if parameter.dtype in (torch.bfloat16, torch.float16)]
    if narrow:
        logger.warning(
            "weights stored in %s are trained in float32, because most updates would round to nothing; "
            "to load them so at once: dtype float32, and bfloat16 only for --dtype",
            str(narrow[0].dtype).removeprefix("torch."),
        )
        compute_in(model, computed_in(model))
        for parameter in narrow:
            parameter.data = parameter.data.float()
    return found
