"""Padded micro-batches of token sequences, and the training forward over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from ..objectives.losses import token_log_probs
from .attention import attention_mask, below_lora
from .blocked_attention import BlockedAttention
from .fused_update import fused_update
from .precision import autocast

__all__ = [
    "MicroBatch",
    "TokenRows",
    "identical_rows",
    "log_probs_of",
    "log_probs_of_rows",
    "logits_of",
    "micro_batches",
    "used_length",
]


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Token ids of whole episodes.

    Attributes:
        ids: int32 [T_i] of each row.
        masks: bool [T_i] of each row, True where the policy wrote the token.
    """

    ids: Sequence[NDArray[np.int32]]
    masks: Sequence[NDArray[np.bool_]]

    @property
    def num_policy_tokens(self) -> int:
        """Tokens of the loss; the token at position 0 is never among them, because nothing predicts it."""
        return int(sum(mask[1:].sum() for mask in self.masks))

    @property
    def num_tokens(self) -> int:
        """Tokens of all rows."""
        return sum(map(len, self.ids))

    def select(self, rows: Sequence[int]) -> TokenRows:
        """A subset of the rows, in the order of `rows`."""
        return TokenRows([self.ids[row] for row in rows], [self.masks[row] for row in rows])


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Right-padded rows.

    Attributes:
        rows: indices of the sequences in the data.
        ids: int64 [B, T].
        policy: bool [B, T - 1], True where the predicted token (position t + 1) was written by the policy.
        segments: int64 [B, T], only in packed batches: which sequence of the row a token belongs to, -1 for padding.
        positions: int64 [B, T], only in packed batches: position within the sequence.
    """

    rows: tuple[int, ...]
    ids: Tensor
    policy: Tensor
    segments: Tensor | None = None
    positions: Tensor | None = None


_MAX_PADDING = 1 / 8
"""Largest share of padding in a row; shorter rows wait for the next micro-batch."""

_PLAIN_HEAD = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2"})
"""Architectures whose logits are exactly the output embedding of the last hidden state."""


def micro_batches(data: TokenRows, max_tokens: int, device: torch.device | str = "cpu") -> Iterator[MicroBatch]:
    """Splits rows, longest first, into padded batches of at most `max_tokens` (a single row may exceed it).

    Rows are cut after their last policy token, because later tokens do not enter the loss. Rows without policy tokens
    are left out.
    """
    lengths = [used_length(mask) for mask in data.masks]
    order = sorted((row for row, length in enumerate(lengths) if length), key=lambda row: (-lengths[row], row))
    at = 0
    while at < len(order):
        width = lengths[order[at]]
        rows = [
            row for row in order[at : at + max(1, max_tokens // width)] if lengths[row] >= width * (1 - _MAX_PADDING)
        ]
        at += len(rows)
        yield _padded(data, tuple(rows), [lengths[row] for row in rows], device)


def identical_rows(data: TokenRows, rows: Sequence[int]) -> list[list[int]]:
    """Groups rows with the same tokens and the same mask up to the last policy token.

    One forward serves a whole group, which is common: the samples of one question often coincide. The mask is part of
    the key, because the same tokens may be the policy's in one row and an observation in another.

    Returns:
        The rows in groups, in the order of each group's first row.
    """
    groups: dict[tuple[bytes, bytes], list[int]] = {}
    for row in rows:
        used = used_length(data.masks[row])
        groups.setdefault((data.ids[row][:used].tobytes(), data.masks[row][:used].tobytes()), []).append(row)
    return list(groups.values())


def used_length(mask: NDArray[np.bool_]) -> int:
    """Number of tokens up to and including the last policy token; 0 without one. Position 0 does not count."""
    at = np.flatnonzero(mask[1:])
    return int(at[-1]) + 2 if len(at) else 0


def _padded(data: TokenRows, rows: tuple[int, ...], lengths: Sequence[int], device: torch.device | str) -> MicroBatch:
    ids = np.zeros((len(rows), lengths[0]), np.int64)
    policy = np.zeros((len(rows), lengths[0]), np.bool_)
    for i, (row, length) in enumerate(zip(rows, lengths)):
        ids[i, :length], policy[i, :length] = data.ids[row][:length], data.masks[row][:length]
    return MicroBatch(rows, torch.from_numpy(ids).to(device), torch.from_numpy(policy[:, 1:].copy()).to(device))


def log_probs_of(model: PreTrainedModel, batch: MicroBatch, *, entropy_gradient: bool = False) -> tuple[Tensor, Tensor]:
    """The training forward: log-probabilities and entropies of the policy tokens.

    Rows are padded on the right and attention is causal, so padding needs no mask; packed sequences need one that
    separates them. If the architecture allows it, only the positions that predict a policy token go through the output
    embedding: [N, vocab] logits instead of [B, T, vocab].

    Returns:
        Two tensors [N] in nats, in row-major order of `batch.policy`.
    """
    targets = batch.ids[:, 1:][batch.policy]
    return token_log_probs(logits_of(model, batch), targets, entropy_gradient=entropy_gradient)


def logits_of(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """The logits that each policy token was predicted from, [N, vocab], in row-major order of `batch.policy`."""
    context = batch.ids[:, :-1]
    fused = fused_update(model, *context.shape) if batch.segments is None else None
    if fused is not None:
        return fused.logits(context, batch.policy)
    causal: Any = below_lora(model)
    separation = _separation(batch, causal)
    sharded = hasattr(causal, "unshard")  # FSDP gathers weights in the whole model's forward only
    with autocast(model), BlockedAttention():
        if causal.config.model_type in _PLAIN_HEAD and not sharded:
            hidden = causal.base_model(input_ids=context, use_cache=False, **separation).last_hidden_state
            logits: Tensor = causal.get_output_embeddings()(hidden[batch.policy])
        else:
            logits = causal(input_ids=context, use_cache=False, **separation).logits[batch.policy]
    return logits


def log_probs_of_rows(model: PreTrainedModel, data: TokenRows, max_tokens: int) -> list[tuple[Tensor, Tensor]]:
    """Log-probabilities and entropies of each row's policy tokens, without gradient: [N_i] on the CPU, nats."""
    out = [(torch.zeros(0), torch.zeros(0))] * len(data.ids)
    groups = identical_rows(data, range(len(data.ids)))
    with torch.no_grad():
        for micro in micro_batches(data.select([group[0] for group in groups]), max_tokens, model.device):
            counts = micro.policy.sum(1).tolist()
            parts = zip(*(values.cpu().split(counts) for values in log_probs_of(model, micro)))
            for place, part in zip(micro.rows, parts):
                for row in groups[place]:
                    out[row] = part
    return out


def _separation(batch: MicroBatch, causal: Any) -> dict[str, Any]:
    """Attention mask and positions that separate packed sequences; empty for rows of one sequence."""
    if batch.segments is None or batch.positions is None:
        return {}
    segments, positions = batch.segments[:, :-1], batch.positions[:, :-1]
    same = segments[:, None, :] == segments[:, :, None]  # [B, T - 1, T - 1]
    mask = attention_mask(causal, same.tril(), positions[:, :, None], positions[:, None, :])
    return {"attention_mask": mask, "position_ids": positions}
