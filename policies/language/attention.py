"""Attention masks of our own making, for the layers of a model that see all that came before and those that do not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError

__all__ = ["additive_mask", "attention_mask"]

_FULL, _SLIDING = "full_attention", "sliding_attention"


def attention_mask(causal: Any, visible: Tensor, queries: Tensor, keys: Tensor) -> Tensor | dict[str, Tensor]:
    """The mask a model's forward takes: `transformers` uses what it is given as it is, in sliding layers too.

    A layer with a sliding window of W sees, of the keys that are visible, the last W up to the query itself.

    Args:
        causal: the model, below LoRA.
        visible: bool [rows, T, S], which keys a query may see at all.
        queries: int64 [..., T, 1], where each query stands.
        keys: int64 [..., S], where each key stands, counted as the queries are.

    Returns:
        Float [rows, 1, T, S], or one for each kind of layer where a model mixes them.

    Raises:
        BerrypickError: the model takes no positions, or has layers of another kind.
    """
    config = causal.config.get_text_config()
    _check(config, type(causal).forward)
    kinds, window = getattr(config, "layer_types", None), getattr(config, "sliding_window", None)
    full = additive_mask(visible[:, None], causal.dtype)
    if window is None or (kinds is not None and _SLIDING not in kinds):
        return full
    sliding = additive_mask((visible & (keys > queries - window))[:, None], causal.dtype)
    return sliding if kinds is None else {_FULL: full, _SLIDING: sliding}


def additive_mask(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """Boolean visibility as a float mask, which eager and SDPA attention both read."""
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)


def _check(config: Any, forward: Callable[..., Any]) -> None:
    """Refuses what no mask of ours describes: ALiBi, recurrence, chunks, windows of a model's own making."""
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
