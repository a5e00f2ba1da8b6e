"""Sampling with the model in this process: tokens in, tokens out, keys and values cached across turns.

Rows with identical contexts (the samples of one question, until they draw different tokens) share one computation: the
next-token distribution depends only on the context, the draw only on the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...envs.episode import Draft
from ..counter_random import uniforms
from ..policy import Sampling
from .contexts import Contexts, ContextSession
from .decoder import Decoder
from .row_cache import RowCache, Slot
from .sampling import sample_tokens
from .turn_writer import TurnEnds, TurnWriter

__all__ = ["LanguageModelSession"]


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
        consumes = self._forget(rows for members in groups for rows in members)
        cache = RowCache.joined(parts, missing + self._sampling.max_new_tokens, most, consumes=consumes)
        return [members for _, members in ordered], cache

    def _forget(self, rows: Iterable[int]) -> bool:
        """Drops what is noted of rows; returns whether nobody else needs their caches."""
        gone = {id(found.cache) for row in rows if (found := self._computed.pop(row, None))}
        return gone.isdisjoint(id(found.cache) for found in self._computed.values())

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
