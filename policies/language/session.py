"""Sampling with the model in this process: tokens in, tokens out, keys and values cached across turns.

Rows with identical contexts (the samples of one question, until they draw different tokens) share one computation: the
next-token distribution depends only on the context, the draw only on the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...envs.episode import Draft
from ..counter_random import uniforms
from ..policy import Sampling
from .contexts import Contexts, ContextSession
from .row_cache import RowCache, forward_rows
from .turn_writer import TurnEnds, TurnWriter

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["LanguageModelSession", "sample_tokens"]


@dataclass(frozen=True, slots=True)
class _Computed:
    """The cache row that holds the first `length` tokens of an episode."""

    cache: RowCache
    at: int
    length: int


class LanguageModelSession(ContextSession):
    """One row per question. Sampled tokens are never encoded again; each observation is encoded by itself."""

    def __init__(self, model: PreTrainedModel, contexts: Contexts, ends: TurnEnds, sampling: Sampling) -> None:
        super().__init__(contexts)
        self._model, self._ends, self._sampling = model, ends, sampling
        self._rows = contexts.rows
        self._computed: dict[int, _Computed] = {}

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Samples the next turn of each row; a row whose window is full writes an empty turn."""
        turns = {row: TurnWriter(self._ends) for row in rows}
        writing = self._contexts.with_room(rows)
        if writing:
            with torch.inference_mode():
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
        [contexts][episodes]. One iteration computes the logits [contexts, vocab], draws a token for every episode, and
        splits a context in two where its episodes drew different tokens. An empty list is a context that has stopped.
        """
        by_ids: dict[tuple[int, ...], list[int]] = {}
        for row in rows:
            by_ids.setdefault(tuple(self._rows[row].ids), []).append(row)
        sharing, cache = self._resumed(list(by_ids.values()))
        self._prefill([members[0] for members in sharing], cache)
        last = [self._rows[members[0]].ids[-1] for members in sharing]
        for left in reversed(range(self._sampling.max_new_tokens)):
            counts = [1 if members else 0 for members in sharing]
            logits = self._forward(cache, last, counts)
            if self._sample(sharing, logits, turns) and left:
                last = [turns[row].ids[-1] for (row,) in sharing]  # fast path: one episode per context, none ended
                continue
            self._remember(sharing, cache, turns, out_of_tokens=not left)
            if not left:
                break
            sharing, branched = _split(sharing, turns)
            if branched:
                cache.branch(self._index(branched))
            running = [at for at, members in enumerate(sharing) if members]
            if not running:
                break
            # Stopped contexts cost a forward all the same. Copying the cache costs too, so it shrinks only when at
            # least half of its rows have stopped, and never when it is small.
            if len(running) * 2 <= len(sharing) and len(sharing) > 8:
                cache = cache.select(self._index(running))
                sharing = [sharing[at] for at in running]
            last = [turns[members[0]].ids[-1] if members else 0 for members in sharing]

    def _remember(
        self, sharing: list[list[int]], cache: RowCache, turns: dict[int, TurnWriter], *, out_of_tokens: bool
    ) -> None:
        """Notes, for the next turn, where the cache holds the episodes whose turn has just ended."""
        for at, members in enumerate(sharing):
            for row in members:
                if out_of_tokens or turns[row].stopped_by != "length":
                    written = len(self._rows[row].ids) + len(turns[row].ids)
                    # The last token was drawn but never fed to the model, so it has no keys and values yet.
                    self._computed[row] = _Computed(cache, at, written - 1)

    def _resumed(self, groups: list[list[int]]) -> tuple[list[list[int]], RowCache]:
        """A new cache that starts with what earlier turns have computed.

        Args:
            groups: rows of the same context, [contexts][episodes].

        Returns:
            The groups in the order of the cache's rows, and the cache.
        """
        nothing = _Computed(RowCache(self._index([0])), 0, 0)
        by_cache: dict[int, list[tuple[_Computed, list[int]]]] = {}
        for members in groups:
            longest = max((self._computed.get(row, nothing) for row in members), key=lambda found: found.length)
            by_cache.setdefault(id(longest.cache), []).append((longest, members))
        parts = [
            (
                same[0][0].cache,
                self._index([found.at for found, _ in same]),
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

    def _prefill(self, rows: list[int], cache: RowCache) -> None:
        """Feeds the model all tokens of each context but the last, which the first decoding step feeds."""
        chunks = [self._rows[row].ids[done:-1] for row, done in zip(rows, cache.lengths.tolist())]
        longest = max(len(chunk) for chunk in chunks)
        if longest:
            pad = self._contexts.pad_id
            tokens = self._index([chunk + [pad] * (longest - len(chunk)) for chunk in chunks])
            forward_rows(self._model, cache, tokens, self._index([len(chunk) for chunk in chunks]))

    def _forward(self, cache: RowCache, last: list[int], counts: list[int]) -> Tensor:
        """Logits [contexts, vocab] after each context's last token; a stopped context (count 0) does not grow."""
        return forward_rows(self._model, cache, self._index(last)[:, None], self._index(counts))

    def _sample(self, sharing: list[list[int]], logits: Tensor, turns: dict[int, TurnWriter]) -> bool:
        """Draws a token for each episode; returns whether every context has one episode and none has ended."""
        rows = [row for members in sharing for row in members]
        running = [at for at, members in enumerate(sharing) if members]
        alone = len(rows) == len(running)
        of = None if alone else self._index([place for place, at in enumerate(running) for _ in sharing[at]])
        seeds = np.array([self._rows[row].seed for row in rows], dtype=np.uint64)
        steps = np.array([self._rows[row].num_drawn for row in rows], dtype=np.int64)
        logits = logits if len(running) == len(sharing) else logits[running]
        drawn = sample_tokens(logits, uniforms(seeds, steps), self._sampling, of)
        num_continuing = 0
        for row, token, log_prob, entropy in zip(rows, *drawn):
            self._rows[row].num_drawn += 1
            num_continuing += turns[row].add(token, log_prob, entropy)
        return alone and num_continuing == len(rows) == len(sharing)

    def _index(self, values: list[int] | list[list[int]]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._model.device)


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
    log_p = torch.log_softmax(logits.float(), dim=-1)
    p = log_p.exp()
    entropies = -(p * log_p).nan_to_num().sum(-1)
    if sampling.temperature == 0:
        ids = _of_each(logits.argmax(-1), of)
    else:
        weights = p if sampling.temperature == 1 else torch.softmax(logits.float() / sampling.temperature, dim=-1)
        if sampling.top_p < 1:
            weights = _nucleus(weights, sampling.top_p)
        cdf = _of_each(weights.double().cumsum(-1), of)
        at = torch.from_numpy(draws).to(cdf.device)[:, None] * cdf[:, -1:]
        ids = torch.searchsorted(cdf, at, right=True)[:, 0].clamp_(max=logits.shape[-1] - 1)
    log_probs = log_p.gather(1, ids[:, None])[:, 0] if of is None else log_p[of, ids]
    return ids.tolist(), log_probs.tolist(), _of_each(entropies, of).tolist()


def _of_each(values: Tensor, of: Tensor | None) -> Tensor:
    """Repeats the values of contexts, [contexts, ...], for each draw, [draws, ...]."""
    return values if of is None else values[of]


def _nucleus(weights: Tensor, top_p: float) -> Tensor:
    """Keeps the fewest tokens whose mass reaches top_p and zeroes the others, [rows, vocab]."""
    ordered, order = weights.sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return weights.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
