"""Sampling with the model in this process: tokens in, tokens out, keys and values cached across turns.

Rows with identical contexts (the samples of one question, until they draw different tokens) share one computation: the
next-token distribution depends only on the context, the draw only on the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...envs.episode import Draft
from ..counter_random import uniforms
from ..policy import Sampling
from .contexts import Contexts, ContextSession
from .decoder import Decoder
from .row_cache import RowCache, Slot
from .turn_writer import TurnEnds, TurnWriter

__all__ = ["LanguageModelSession", "sample_tokens"]

_BLOCK = 256
"""Tokens of the vocabulary whose probabilities are summed at a time."""


@dataclass(frozen=True, slots=True)
class _Computed:
    """The cache row that holds the first `length` tokens of an episode."""

    cache: RowCache
    slot: Slot
    length: int


class LanguageModelSession(ContextSession):
    """One row per question. Sampled tokens are never encoded again; each observation is encoded by itself."""

    def __init__(
        self,
        decoder: Decoder,
        device: torch.device,
        contexts: Contexts,
        ends: TurnEnds,
        sampling: Sampling,
    ) -> None:
        super().__init__(contexts)
        self._decoder, self._device, self._ends, self._sampling = decoder, device, ends, sampling
        self._rows = contexts.rows
        self._computed: dict[int, _Computed] = {}

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Samples the next turn of each row; a row whose window is full writes an empty turn."""
        turns = {row: TurnWriter(self._ends) for row in rows}
        writing = self._contexts.with_room(rows)
        if writing:
            with torch.inference_mode(), self._decoder.computing():
                self._write(writing, turns)
        for row in writing:
            self._contexts.append_turn(row, turns[row].ids)
        return [turns[row].draft() for row in rows]

    def finish(self, rows: Sequence[int]) -> None:
        """Drops the cached keys and values of rows that have ended."""
        for row in rows:
            self._computed.pop(row, None)

    def _write(self, rows: list[int], turns: dict[int, TurnWriter]) -> None:
        """Decodes one turn of each row.

        `sharing` lists, for each row of the cache (one context each), the episodes that stand at that context:
        [contexts][episodes]. One iteration computes the logits [contexts, vocab], draws a token for every episode,
        splits a context in two where its episodes drew different tokens, and retires those that have stopped.
        """
        by_ids: dict[tuple[int, ...], list[int]] = {}
        for row in rows:
            by_ids.setdefault(tuple(self._rows[row].ids), []).append(row)
        sharing, cache = self._resumed(list(by_ids.values()))
        new = [self._rows[members[0]].ids[done:] for members, done in zip(sharing, cache.lengths.tolist())]
        for left in reversed(range(self._sampling.max_new_tokens)):
            logits = self._decoder.next_logits(cache, new)
            if not (self._sample(sharing, logits, turns) and left):  # else one episode per context, and none ended
                self._remember(sharing, cache, turns, out_of_tokens=not left)
                if not left:
                    break
                sharing, branched = _split(sharing, turns)
                if branched:
                    cache.branch(self._index(branched))
                stopped = [at for at, members in enumerate(sharing) if not members]
                if len(stopped) == len(sharing):
                    break
                if stopped:
                    sharing = [sharing[at] for at in cache.retire(stopped)]
            new = [turns[members[0]].ids[-1:] for members in sharing]

    def _remember(
        self, sharing: list[list[int]], cache: RowCache, turns: dict[int, TurnWriter], *, out_of_tokens: bool
    ) -> None:
        """Notes, for the next turn, where the cache holds the episodes whose turn has just ended."""
        for at, members in enumerate(sharing):
            for row in members:
                if out_of_tokens or turns[row].stopped_by != "length":
                    written = len(self._rows[row].ids) + len(turns[row].ids)
                    # The last token was drawn but never fed to the model, so it has no keys and values yet.
                    self._computed[row] = _Computed(cache, cache.slots[at], written - 1)

    def _resumed(self, groups: list[list[int]]) -> tuple[list[list[int]], RowCache]:
        """A new cache that starts with what earlier turns have computed.

        Args:
            groups: rows of the same context, [contexts][episodes].

        Returns:
            The groups in the order of the cache's rows, and the cache.
        """
        nothing = _Computed(RowCache(self._index([0])), Slot(0), 0)
        by_cache: dict[int, list[tuple[_Computed, list[int]]]] = {}
        for members in groups:
            longest = max((self._computed.get(row, nothing) for row in members), key=lambda found: found.length)
            by_cache.setdefault(id(longest.cache), []).append((longest, members))
        parts = [
            (
                same[0][0].cache,
                self._index([found.slot.at for found, _ in same]),
                self._index([found.length for found, _ in same]),
            )
            for same in by_cache.values()
        ]
        ordered = [pair for same in by_cache.values() for pair in same]
        missing = max(len(self._rows[members[0]].ids) - found.length for found, members in ordered)
        # Rows to allocate: contexts after some have split. The cache grows by itself if more split.
        most = min(sum(map(len, groups)), 2 * len(groups) + 8)
        cache = RowCache.joined(parts, missing + self._sampling.max_new_tokens, most)
        return [members for _, members in ordered], cache

    def _sample(self, sharing: list[list[int]], logits: Tensor, turns: dict[int, TurnWriter]) -> bool:
        """Draws a token for each episode; returns whether every context has one episode and none has ended."""
        rows = [row for members in sharing for row in members]
        alone = len(rows) == len(sharing)
        of = None if alone else self._index([at for at, members in enumerate(sharing) for _ in members])
        seeds = np.array([self._rows[row].seed for row in rows], dtype=np.uint64)
        steps = np.array([self._rows[row].num_drawn for row in rows], dtype=np.int64)
        drawn = sample_tokens(logits, uniforms(seeds, steps), self._sampling, of)
        num_continuing = 0
        for row, token, log_prob, entropy in zip(rows, *drawn):
            self._rows[row].num_drawn += 1
            num_continuing += turns[row].add(token, log_prob, entropy)
        return alone and num_continuing == len(rows)

    def _index(self, values: list[int] | list[list[int]]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._device)


def _split(sharing: list[list[int]], turns: dict[int, TurnWriter]) -> tuple[list[list[int]], list[int]]:
    """Groups the episodes that are still writing by context, after each has drawn a token.

    The episodes of the first token drawn stay in place; every further token of a context appends a new context.

    Returns:
        Episodes of every context, [contexts + new], and the context that each new one is a copy of, [new].
    """
    out: list[list[int]] = [[] for _ in sharing]
    branched: list[int] = []
    for at, members in enumerate(sharing):
        writing = [row for row in members if turns[row].stopped_by == "length"]
        if len(writing) < 2:
            out[at] = writing
            continue
        by_token: dict[int, list[int]] = {}
        for row in writing:
            by_token.setdefault(turns[row].ids[-1], []).append(row)
        for number, rows in enumerate(by_token.values()):
            if number == 0:
                out[at] = rows
            else:
                out.append(rows)
                branched.append(at)
    return out, branched


def sample_tokens(
    logits: Tensor, draws: NDArray[np.float64], sampling: Sampling, of: Tensor | None = None
) -> tuple[list[int], list[float], list[float]]:
    """Inverse-CDF sampling, one uniform number per draw.

    Args:
        logits: [contexts, vocab].
        draws: float64 [draws] in [0, 1).
        sampling: temperature 0 is greedy; top_p cuts the tail.
        of: int64 [draws], the context of each draw; if None, draw i belongs to context i.

    Returns:
        For each draw: token id, its log-probability and the entropy of its distribution, in nats. The latter two are
        always those of the full softmax at temperature 1, whatever the sampling.
    """
    wide = logits if logits.dtype == torch.float64 else logits.float()
    shifted = wide - wide.amax(-1, keepdim=True)
    weights = shifted.exp()
    mass = weights.sum(-1, keepdim=True)
    # H = log Z - E[shifted]; a token of probability 0 adds 0, not 0 * -inf.
    entropies = mass.log()[:, 0] - (weights * shifted.clamp_min(-1e4)).sum(-1) / mass[:, 0]
    if sampling.temperature == 0:
        ids = _of_each(logits.argmax(-1), of)
    else:
        if sampling.temperature != 1:
            weights = (shifted / sampling.temperature).exp_()
        if sampling.top_p < 1:
            weights = _nucleus(weights / weights.sum(-1, keepdim=True), sampling.top_p)
        ids = _inverse_cdf(weights, torch.from_numpy(draws).to(weights.device), of)
    chosen = shifted.gather(1, ids[:, None])[:, 0] if of is None else shifted[of, ids]
    log_probs = chosen - _of_each(mass.log()[:, 0], of)
    return ids.tolist(), log_probs.tolist(), _of_each(entropies, of).tolist()


def _inverse_cdf(weights: Tensor, draws: Tensor, of: Tensor | None) -> Tensor:
    """The tokens at which the cumulative weights reach the draws' shares of the total, int64 [draws].

    The vocabulary is searched by blocks and then within one block, so that only the sums of blocks are accumulated over
    all of it. Sums are float64: in float32 rare tokens at the end would be lost.
    """
    num_contexts, vocab = weights.shape
    padded = F.pad(weights, (0, -vocab % _BLOCK)).view(num_contexts, -1, _BLOCK)
    ends = padded.sum(-1, dtype=torch.float64).cumsum(-1)  # [contexts, blocks]
    ends = _of_each(ends, of)
    wanted = _below(draws[:, None] * ends[:, -1:], ends[:, -1:])
    block = torch.searchsorted(ends, wanted, right=True).clamp_(max=ends.shape[1] - 1)
    before = torch.where(block > 0, ends.gather(1, (block - 1).clamp_min(0)), 0.0)
    context = torch.arange(len(draws), device=draws.device) if of is None else of
    within = padded[context, block[:, 0]].double().cumsum(-1) + before  # [draws, block]
    ids = block * _BLOCK + torch.searchsorted(within, _below(wanted, within[:, -1:]), right=True)
    return ids[:, 0].clamp_(max=vocab - 1)


def _below(wanted: Tensor, total: Tensor) -> Tensor:
    """`wanted`, but less than the total, so that rounding never finds a token of probability 0."""
    return torch.minimum(wanted, torch.nextafter(total, torch.zeros_like(total)))


def _of_each(values: Tensor, of: Tensor | None) -> Tensor:
    """Repeats the values of contexts, [contexts, ...], for each draw, [draws, ...]."""
    return values if of is None else values[of]


def _nucleus(weights: Tensor, top_p: float) -> Tensor:
    """Keeps the fewest tokens whose mass reaches top_p and zeroes the others, [rows, vocab]."""
    ordered, order = weights.sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return weights.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
