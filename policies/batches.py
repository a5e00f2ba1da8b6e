"""Sequences of tokens to padded micro-batches and back to per-token values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from .objectives.losses import token_log_probs

__all__ = ["MicroBatch", "TokenRows", "micro_batches", "score"]


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Whole contexts. `ids[i]` int32 [T_i]; `masks[i]` bool [T_i], True where the policy wrote the token."""

    ids: Sequence[NDArray[np.int32]]
    masks: Sequence[NDArray[np.bool_]]

    @property
    def num_policy_tokens(self) -> int:
        """Tokens the loss runs over; a token at position 0 has no prediction and never counts."""
        return int(sum(mask[1:].sum() for mask in self.masks))


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Right-padded rows. ids int64 [B, T]; attention bool [B, T]; policy bool [B, T - 1] over predicted tokens."""

    rows: tuple[int, ...]
    ids: Tensor
    attention: Tensor
    policy: Tensor


def micro_batches(data: TokenRows, max_tokens: int, device: torch.device | str = "cpu") -> Iterator[MicroBatch]:
    """Splits rows, longest first, so that no padded batch exceeds `max_tokens` (a single row may)."""
    order = sorted(range(len(data.ids)), key=lambda row: (-len(data.ids[row]), row))
    at = 0
    while at < len(order):
        width = len(data.ids[order[at]])
        rows = order[at : at + max(1, max_tokens // width)]
        at += len(rows)
        ids = np.zeros((len(rows), width), np.int64)
        attention = np.zeros((len(rows), width), np.bool_)
        policy = np.zeros((len(rows), width), np.bool_)
        for i, row in enumerate(rows):
            length = len(data.ids[row])
            ids[i, :length], attention[i, :length], policy[i, :length] = data.ids[row], True, data.masks[row]
        yield MicroBatch(
            tuple(rows),
            torch.from_numpy(ids).to(device),
            torch.from_numpy(attention).to(device),
            torch.from_numpy(policy[:, 1:].copy()).to(device),
        )


def score(model: PreTrainedModel, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """The training forward.

    Returns:
        Log-probabilities and entropies of the policy tokens, [N] in row-major order of `batch.policy`, nats.
    """
    out = model(input_ids=batch.ids, attention_mask=batch.attention.long(), use_cache=False)
    logits = out.logits[:, :-1][batch.policy]
    return token_log_probs(logits, batch.ids[:, 1:][batch.policy])
