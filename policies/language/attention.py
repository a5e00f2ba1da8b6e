"""Explicit attention masks, for rows of different lengths and for packed sequences."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError

__all__ = ["additive_mask", "attention_mask", "below_lora"]

_FULL, _SLIDING = "full_attention", "sliding_attention"


def below_lora(model: Any) -> Any:
    """The causal language model inside LoRA's wrapper; the model itself without LoRA."""
    return getattr(model, "get_base_model", lambda: model)()


def attention_mask(causal: Any, visible: Tensor, queries: Tensor, keys: Tensor) -> Tensor | dict[str, Tensor]:
    """The mask argument of a model's forward.

    `transformers` uses a 4-D mask unchanged in every layer, so sliding windows must be cut here: a layer with a window
    of W sees the last W visible keys, the query's own position included.

    Args:
        causal: the model, without LoRA's wrapper.
        visible: bool [rows, T, S], which keys a query may see.
        queries: int64 [..., T, 1], position of each query.
        keys: int64 [..., S], position of each key, on the same scale as the queries'.

    Returns:
        Float [rows, 1, T, S] (the 1 broadcasts over heads); a dictionary with one mask per kind of layer if the model
        mixes full and sliding layers.

    Raises:
        BerrypickError: the model takes no position ids, or has layers of another kind.
    """
    config = causal.config.get_text_config()
    _check(config, type(causal).forward)
    kinds, window = getattr(config, "layer_types", None), getattr(config, "sliding_window", None)
    dtype = causal.dtype
    if torch.is_autocast_enabled(visible.device.type):  # the lowest float32 would become -inf
        dtype = torch.get_autocast_dtype(visible.device.type)
    full = additive_mask(visible[:, None], dtype)
    if window is None or (kinds is not None and _SLIDING not in kinds):
        return full
    sliding = additive_mask((visible & (keys > queries - window))[:, None], dtype)
    return sliding if kinds is None else {_FULL: full, _SLIDING: sliding}


def additive_mask(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """Float mask of the same shape: 0 where visible, the lowest finite number elsewhere.

    Finite as in `transformers` itself: a softmax over -inf alone would be NaN.
    """
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)


def _check(config: Any, forward: Callable[..., Any]) -> None:
    """Refuses models that such masks cannot describe: ALiBi, recurrence, chunks, windows inside the model's code."""
    if not _takes_positions(forward) or getattr(config, "alibi", False):
        raise BerrypickError(
            f"a model of type {config.model_type} takes no position ids (ALiBi or recurrence), which rows of different "
            "length need; choose one that does, such as llama, qwen3 or gpt2"
        )
    kinds = {*(getattr(config, "layer_types", None) or ()), *(getattr(config, "attention_layers", None) or ())}
    others = kinds - {_FULL, _SLIDING, "global"}
    if others:
        raise BerrypickError(
            f"a model of type {config.model_type} has layers of {', '.join(sorted(others))}; choose one whose layers "
            "have full or sliding attention"
        )


@lru_cache(maxsize=16)
def _takes_positions(forward: Callable[..., Any]) -> bool:
    return "position_ids" in inspect.signature(forward).parameters
