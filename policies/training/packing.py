"""Packing: several sequences per row, for batches whose lengths differ widely.

`micro_batches` groups sequences of similar length, so such batches need many small forwards. Here each sequence of a
row has positions from 0 and attends only to itself, so its loss does not change. Rows are as long as the longest
sequence, so attention costs no more than with padding to that length.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ..language.batches import MicroBatch, TokenRows, used_length

__all__ = ["best_fit", "packed_micro_batches"]


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing: puts each index, longest first, into the fullest bin that has room for it.

    Args:
        lengths: each from 1 to `capacity`.
        capacity: of a bin.

    Returns:
        Indices into `lengths`, [bins][members].
    """
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (room left, bin), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        at = bisect_left(room, (lengths[index], -1))
        if at == len(room):
            bins.append([])
            left, chosen = capacity, len(bins) - 1
        else:
            left, chosen = room.pop(at)
        bins[chosen].append(index)
        insort(room, (left - lengths[index], chosen))
    return bins


def packed_micro_batches(data: TokenRows, max_tokens: int, device: torch.device | str = "cpu") -> Iterator[MicroBatch]:
    """Packs rows into micro-batches of at most `max_tokens` positions (a single row may exceed it).

    Sequences are cut after their last policy token; those without policy tokens are left out.
    """
    lengths = {row: length for row, mask in enumerate(data.masks) if (length := used_length(mask))}
    if not lengths:
        return
    order, width = list(lengths), max(lengths.values())
    bins = [[order[i] for i in found] for found in best_fit([lengths[row] for row in order], width)]
    per_batch = max(1, max_tokens // width)
    for first in range(0, len(bins), per_batch):
        yield _packed(data, bins[first : first + per_batch], lengths, width, device)


def _packed(
    data: TokenRows, bins: Sequence[Sequence[int]], lengths: dict[int, int], width: int, device: torch.device | str
) -> MicroBatch:
    ids, policy = np.zeros((len(bins), width), np.int64), np.zeros((len(bins), width), np.bool_)
    segments, positions = np.full((len(bins), width), -1, np.int64), np.zeros((len(bins), width), np.int64)
    for line, members in enumerate(bins):
        at = 0
        for number, row in enumerate(members):
            here = slice(at, at + lengths[row])
            ids[line, here], policy[line, here] = data.ids[row][: lengths[row]], data.masks[row][: lengths[row]]
            policy[line, at] = False  # nothing predicts the first token of a sequence
            segments[line, here], positions[line, here] = number, np.arange(lengths[row])
            at += lengths[row]
    rows = tuple(row for members in bins for row in members)
    return MicroBatch(
        rows,
        torch.from_numpy(ids).to(device),
        torch.from_numpy(policy[:, 1:].copy()).to(device),
        torch.from_numpy(segments).to(device),
        torch.from_numpy(positions).to(device),
    )
