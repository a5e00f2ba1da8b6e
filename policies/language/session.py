"""Live rows of a language model: token in, token out, keys and values kept across turns.

Rows whose contexts are the same token for token, as the samples of one question are until they draw differently, are
computed once: a distribution belongs to a context, a draw to a row.
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
from ...envs.formats.turn_format import get_turn_format
from ...envs.questions import EpisodeSpec, Question
from ..counter_random import uniforms
from ..policy import Sampling
from .contexts import Contexts, ContextSession
from .row_cache import RowCache, forward_rows
from .turn_writer import TurnEnds, TurnWriter

if TYPE_CHECKING:
    from .model import LanguageModelPolicy

__all__ = ["LanguageModelSession", "sample_tokens"]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where a row's first `length` tokens have been computed."""

    cache: RowCache
    at: int
    length: int


class LanguageModelSession(ContextSession):
    """One row for each question. Sampled tokens are never encoded again; observations are encoded alone."""

    def __init__(
        self,
        policy: LanguageModelPolicy,
        questions: Sequence[Question],
        spec: EpisodeSpec,
        seeds: Sequence[int],
        sampling: Sampling,
    ) -> None:
        super().__init__(Contexts(policy, questions, spec, seeds, sampling))
        self._policy, self._sampling = policy, sampling
        self._rows = self._contexts.rows
        self._ends = TurnEnds(policy, get_turn_format(spec.turn_format).stop)
        self._kept: dict[int, _Kept] = {}

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
        """Drops rows and what was computed of them."""
        for row in rows:
            self._kept.pop(row, None)

    def _write(self, rows: list[int], turns: dict[int, TurnWriter]) -> None:
        """Decodes one turn of each row; once half of the contexts have stopped, only the others are computed."""
        alike: dict[tuple[int, ...], list[int]] = {}
        for row in rows:
            alike.setdefault(tuple(self._rows[row].ids), []).append(row)
        going, cache = self._resumed(list(alike.values()))
        self._prefill([members[0] for members in going], cache)
        last = [self._rows[members[0]].ids[-1] for members in going]
        for left in reversed(range(self._sampling.max_new_tokens)):
            counts = [1 if members else 0 for members in going]
            logits = self._forward(cache, last, counts)
            if self._sample(going, logits, turns) and left:
                last = [turns[row].ids[-1] for (row,) in going]  # every context is one row's and goes on
                continue
            for at, members in enumerate(going):
                for row in members:
                    if not left or turns[row].stopped_by != "length":
                        written = len(self._rows[row].ids) + len(turns[row].ids)
                        self._kept[row] = _Kept(cache, at, written - 1)  # the last token was drawn, not read
            if not left:
                break
            going, branched = _told_apart(going, turns)
            if branched:
                cache.branch(self._index(branched))
            running = [at for at, members in enumerate(going) if members]
            if not running:
                break
            if len(running) * 2 <= len(going) and len(going) > 8:
                cache = cache.select(self._index(running))
                going = [going[at] for at in running]
            last = [turns[members[0]].ids[-1] if members else 0 for members in going]

    def _resumed(self, groups: list[list[int]]) -> tuple[list[list[int]], RowCache]:
        """Rows of the same context, and a cache that holds of each what has been computed before."""
        nothing = _Kept(RowCache(self._index([0])), 0, 0)
        by_cache: dict[int, list[tuple[_Kept, list[int]]]] = {}
        for members in groups:
            longest = max((self._kept.get(row, nothing) for row in members), key=lambda kept: kept.length)
            by_cache.setdefault(id(longest.cache), []).append((longest, members))
        parts = [
            (
                found[0][0].cache,
                self._index([kept.at for kept, _ in found]),
                self._index([kept.length for kept, _ in found]),
            )
            for found in by_cache.values()
        ]
        ordered = [(kept, members) for found in by_cache.values() for kept, members in found]
        missing = max(len(self._rows[members[0]].ids) - kept.length for kept, members in ordered)
        most = min(sum(map(len, groups)), 2 * len(groups) + 8)  # contexts, once some have branched; more make it grow
        cache = RowCache.joined(parts, missing + self._sampling.max_new_tokens, most)
        return [members for _, members in ordered], cache

    def _prefill(self, rows: list[int], cache: RowCache) -> None:
        """Brings all context but each row's last token into the cache."""
        chunks = [self._rows[row].ids[done:-1] for row, done in zip(rows, cache.lengths.tolist())]
        longest = max(len(chunk) for chunk in chunks)
        if longest:
            pad = int(self._policy.tokenizer.pad_token_id or 0)
            tokens = self._index([chunk + [pad] * (longest - len(chunk)) for chunk in chunks])
            forward_rows(self._policy.model, cache, tokens, self._index([len(chunk) for chunk in chunks]))

    def _forward(self, cache: RowCache, last: list[int], counts: list[int]) -> Tensor:
        """Logits after each context's last token; contexts that have stopped (count 0) do not grow."""
        return forward_rows(self._policy.model, cache, self._index(last)[:, None], self._index(counts))

    def _sample(self, going: list[list[int]], logits: Tensor, turns: dict[int, TurnWriter]) -> bool:
        """Draws a token for each row; returns whether each context is that of one row, which goes on."""
        rows = [row for members in going for row in members]
        running = [at for at, members in enumerate(going) if members]
        alone = len(rows) == len(running)
        of = None if alone else self._index([place for place, at in enumerate(running) for _ in going[at]])
        seeds = np.array([self._rows[row].seed for row in rows], dtype=np.uint64)
        steps = np.array([self._rows[row].num_drawn for row in rows], dtype=np.int64)
        logits = logits if len(running) == len(going) else logits[running]
        drawn = sample_tokens(logits, uniforms(seeds, steps), self._sampling, of)
        going_on = 0
        for row, token, log_prob, entropy in zip(rows, *drawn):
            self._rows[row].num_drawn += 1
            going_on += turns[row].add(token, log_prob, entropy)
        return alone and going_on == len(rows) == len(going)

    def _index(self, values: list[int] | list[list[int]]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._policy.model.device)


def _told_apart(going: list[list[int]], turns: dict[int, TurnWriter]) -> tuple[list[list[int]], list[int]]:
    """The rows that write on, by context, after each has drawn a token.

    Returns:
        Rows of every context, those that have split off appended, and which context each of the latter came from.
    """
    out: list[list[int]] = [[] for _ in going]
    branched: list[int] = []
    for at, members in enumerate(going):
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
    """Inverse-CDF sampling, one uniform a draw.

    Args:
        logits: [contexts, vocab].
        draws: float64 [draws] in [0, 1).
        sampling: temperature 0 is greedy; top_p cuts the tail.
        of: int64 [draws], the context of each draw; without it draw i is from context i.

    Returns:
        Token ids, their log-probabilities and the entropies of their distributions, one a draw: at temperature 1 over
        the full softmax, nats, whatever the sampling.
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
    """Values of contexts to values of draws."""
    return values if of is None else values[of]


def _nucleus(weights: Tensor, top_p: float) -> Tensor:
    """Zeroes all but the fewest tokens whose mass reaches top_p."""
    ordered, order = weights.sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return weights.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
