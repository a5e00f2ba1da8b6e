"""Sequences of tokens to padded micro-batches and back to per-token values."""

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
from .attention import attention_mask

__all__ = ["MicroBatch", "TokenRows", "micro_batches", "score", "score_rows", "twins", "used_length"]


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Whole contexts. `ids[i]` int32 [T_i]; `masks[i]` bool [T_i], True where the policy wrote the token."""

    ids: Sequence[NDArray[np.int32]]
    masks: Sequence[NDArray[np.bool_]]

    @property
    def num_policy_tokens(self) -> int:
        """Tokens the loss runs over; a token at position 0 has no prediction and never counts."""
        return int(sum(mask[1:].sum() for mask in self.masks))

    def select(self, rows: Sequence[int]) -> TokenRows:
        """Some of the rows, in the given order."""
        return TokenRows([self.ids[row] for row in rows], [self.masks[row] for row in rows])


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Right-padded rows. ids int64 [B, T]; policy bool [B, T - 1] over predicted tokens; rows index the data.

    In a packed batch, segments int64 [B, T] tell the sequences of a row apart (-1 is padding) and positions int64
    [B, T] count within them.
    """

    rows: tuple[int, ...]
    ids: Tensor
    policy: Tensor
    segments: Tensor | None = None
    positions: Tensor | None = None


_MAX_PADDING = 1 / 8
"""Share of a row that may be padding: shorter rows go into the next micro-batch."""

_PLAIN_HEAD = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2"})
"""Architectures whose logits are the output embedding of the last hidden state and nothing else."""


def micro_batches(data: TokenRows, max_tokens: int, device: torch.device | str = "cpu") -> Iterator[MicroBatch]:
    """Splits rows, longest first, so that no padded batch exceeds `max_tokens` (a single row may).

    A row ends with its last policy token: what follows predicts nothing. Rows without policy tokens are left out.
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


def twins(data: TokenRows, rows: Sequence[int]) -> list[list[int]]:
    """Rows that are the same token for token up to their last policy token: one forward serves them all.

    Returns:
        The given rows in groups, in the order of each group's first row.
    """
    alike: dict[tuple[bytes, bytes], list[int]] = {}
    for row in rows:
        used = used_length(data.masks[row])
        alike.setdefault((data.ids[row][:used].tobytes(), data.masks[row][:used].tobytes()), []).append(row)
    return list(alike.values())


def used_length(mask: NDArray[np.bool_]) -> int:
    """Tokens up to the last policy token that is predicted, 0 where there is none."""
    at = np.flatnonzero(mask[1:])
    return int(at[-1]) + 2 if len(at) else 0


def _padded(data: TokenRows, rows: tuple[int, ...], lengths: Sequence[int], device: torch.device | str) -> MicroBatch:
    ids = np.zeros((len(rows), lengths[0]), np.int64)
    policy = np.zeros((len(rows), lengths[0]), np.bool_)
    for i, (row, length) in enumerate(zip(rows, lengths)):
        ids[i, :length], policy[i, :length] = data.ids[row][:length], data.masks[row][:length]
    return MicroBatch(rows, torch.from_numpy(ids).to(device), torch.from_numpy(policy[:, 1:].copy()).to(device))


def score(model: PreTrainedModel, batch: MicroBatch, *, entropy_gradient: bool = False) -> tuple[Tensor, Tensor]:
    """The training forward.

    Rows are padded on the right and attention is causal, so padding needs no mask; packed sequences get one that keeps
    them apart. Only positions that predict a policy token go through the output embedding where the architecture
    allows it.

    Returns:
        Log-probabilities and entropies of the policy tokens, [N] in row-major order of `batch.policy`, nats.
    """
    context, targets = batch.ids[:, :-1], batch.ids[:, 1:][batch.policy]
    causal: Any = getattr(model, "get_base_model", lambda: model)()  # below LoRA, where there is one
    apart = _apart(batch, causal)
    sharded = hasattr(causal, "unshard")  # FSDP gathers weights in the whole model's forward
    if causal.config.model_type in _PLAIN_HEAD and not sharded:
        hidden = causal.base_model(input_ids=context, use_cache=False, **apart).last_hidden_state
        logits = causal.get_output_embeddings()(hidden[batch.policy])
    else:
        logits = causal(input_ids=context, use_cache=False, **apart).logits[batch.policy]
    return token_log_probs(logits, targets, entropy_gradient=entropy_gradient)


def score_rows(model: PreTrainedModel, data: TokenRows, max_tokens: int) -> list[tuple[Tensor, Tensor]]:
    """Log-probabilities and entropies of each row's policy tokens under a fixed model, [T_i] on the CPU, nats."""
    out = [(torch.zeros(0), torch.zeros(0))] * len(data.ids)
    alike = twins(data, range(len(data.ids)))
    with torch.no_grad():
        for micro in micro_batches(data.select([same[0] for same in alike]), max_tokens, model.device):
            counts = micro.policy.sum(1).tolist()
            parts = zip(*(values.cpu().split(counts) for values in score(model, micro)))
            for place, part in zip(micro.rows, parts):
                for row in alike[place]:
                    out[row] = part
    return out


def _apart(batch: MicroBatch, causal: Any) -> dict[str, Any]:
    """Attention mask and positions of packed sequences; nothing for rows of one sequence."""
    if batch.segments is None or batch.positions is None:
        return {}
    segments, positions = batch.segments[:, :-1], batch.positions[:, :-1]
    same = segments[:, None, :] == segments[:, :, None]
    mask = attention_mask(causal, same.tril(), positions[:, :, None], positions[:, None, :])
    return {"attention_mask": mask, "position_ids": positions}
