"""Live rows of a language model: token in, token out, one KV cache across turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..envs.episode import Draft
from ..envs.questions import EpisodeSpec, Question
from ..envs.turn_format import get_turn_format
from .contexts import Contexts
from .counter_random import uniforms
from .policy import Sampling
from .row_cache import RowCache, forward_rows
from .turn_writer import TurnEnds, TurnWriter

if TYPE_CHECKING:
    from .language_model import LanguageModelPolicy

__all__ = ["LanguageModelSession", "sample_tokens"]


class LanguageModelSession:
    """One row for each question. Sampled tokens are never encoded again; observations are encoded alone."""

    def __init__(
        self,
        policy: LanguageModelPolicy,
        questions: Sequence[Question],
        spec: EpisodeSpec,
        seeds: Sequence[int],
        sampling: Sampling,
    ) -> None:
        self._policy, self._sampling = policy, sampling
        self._contexts = Contexts(policy, questions, spec, seeds, sampling)
        self._rows = self._contexts.rows
        self._ends = TurnEnds(policy, get_turn_format(spec.turn_format).stop)
        self._live = list(range(len(questions)))
        self._finished: set[int] = set()
        self._cache = RowCache(torch.zeros(len(questions), dtype=torch.int64, device=policy.model.device))

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Samples the next turn of each row; a row whose window is full writes an empty turn."""
        turns = {row: TurnWriter(self._ends) for row in rows}
        writing = self._contexts.with_room(rows)
        if writing:
            self._compact()
            with torch.inference_mode():
                self._write(writing, turns)
        for row in writing:
            self._contexts.append_turn(row, turns[row].ids)
        return [turns[row].draft() for row in rows]

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends observations, each encoded alone."""
        self._contexts.observe(rows, texts)

    def leading_chars(self, text: str, max_tokens: int) -> int:
        """How many leading characters of a text are at most so many tokens."""
        return self._contexts.leading_chars(text, max_tokens)

    def finish(self, rows: Sequence[int]) -> None:
        """Drops rows; the cache is compacted before the next turn."""
        self._finished.update(rows)

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Token ids int32 [T] and policy mask bool [T] of a row."""
        return self._contexts.token_ids(row)

    def _compact(self) -> None:
        keep = [at for at, row in enumerate(self._live) if row not in self._finished and not self._rows[row].full]
        if len(keep) < len(self._live):
            self._cache = self._cache.select(torch.tensor(keep, dtype=torch.int64, device=self._cache.lengths.device))
            self._live = [self._live[at] for at in keep]

    def _write(self, rows: list[int], turns: dict[int, TurnWriter]) -> None:
        """Decodes one turn of each row; once half of the rows have stopped, only the others are computed."""
        device = self._cache.lengths.device
        place = {row: at for at, row in enumerate(self._live)}
        whole = sorted(rows) == sorted(self._live)
        active = list(self._live) if whole else rows
        at = torch.tensor([place[row] for row in active], dtype=torch.int64, device=device)
        cache = self._cache if whole else self._cache.select(at)
        self._prefill(active, cache)
        last = [self._rows[row].ids[-1] for row in active]
        stack: list[tuple[RowCache, Tensor, RowCache]] = []
        if not whole:
            stack.append((self._cache, at, cache))
        running = list(range(len(active)))
        for step in range(self._sampling.max_new_tokens):
            logits = self._forward(cache, last, running)
            self._sample([active[i] for i in running], logits[running], turns)
            last = [turns[row].ids[-1] for row in active]
            running = [i for i in running if turns[active[i]].stopped_by == "length"]
            if not running or step + 1 == self._sampling.max_new_tokens:
                break
            if len(running) * 2 <= len(active) and len(active) > 8:
                keep = torch.tensor(running, dtype=torch.int64, device=device)
                part = cache.select(keep)
                stack.append((cache, keep, part))
                cache, active, last = part, [active[i] for i in running], [last[i] for i in running]
                running = list(range(len(active)))
        for parent, kept, part in reversed(stack):
            parent.write_back(kept, part)

    def _prefill(self, active: list[int], cache: RowCache) -> None:
        """Brings all context but each row's last token into the cache."""
        lengths = cache.lengths.tolist()
        chunks = [self._rows[row].ids[done:-1] for row, done in zip(active, lengths)]
        longest = max(len(chunk) for chunk in chunks)
        if longest:
            pad = int(self._policy.tokenizer.pad_token_id or 0)
            tokens = torch.tensor(
                [chunk + [pad] * (longest - len(chunk)) for chunk in chunks], device=cache.lengths.device
            )
            counts = torch.tensor([len(chunk) for chunk in chunks], device=cache.lengths.device)
            forward_rows(self._policy.model, cache, tokens, counts)

    def _forward(self, cache: RowCache, last: list[int], running: list[int]) -> Tensor:
        """Logits after each row's last token; rows that have stopped do not grow."""
        counts = torch.zeros(len(last), dtype=torch.int64)
        counts[running] = 1
        device = cache.lengths.device
        return forward_rows(self._policy.model, cache, torch.tensor(last, device=device)[:, None], counts.to(device))

    def _sample(self, rows: list[int], logits: Tensor, turns: dict[int, TurnWriter]) -> None:
        seeds = np.array([self._rows[row].seed for row in rows], dtype=np.uint64)
        steps = np.array([self._rows[row].num_drawn for row in rows], dtype=np.int64)
        ids, log_probs, entropies = sample_tokens(logits, uniforms(seeds, steps), self._sampling)
        for row, token, log_prob, entropy in zip(rows, ids, log_probs, entropies):
            self._rows[row].num_drawn += 1
            turns[row].add(token, log_prob, entropy)


def sample_tokens(
    logits: Tensor, draws: NDArray[np.float64], sampling: Sampling
) -> tuple[list[int], list[float], list[float]]:
    """Inverse-CDF sampling, one uniform a row.

    Args:
        logits: [rows, vocab].
        draws: float64 [rows] in [0, 1).
        sampling: temperature 0 is greedy; top_p cuts the tail.

    Returns:
        Token ids, their log-probabilities and the entropies of their distributions: at temperature 1 over the full
        softmax, nats, whatever the sampling.
    """
    log_p = torch.log_softmax(logits.float(), dim=-1)
    p = log_p.exp()
    entropies = -(p * log_p).nan_to_num().sum(-1)
    if sampling.temperature == 0:
        ids = logits.argmax(-1)
    else:
        weights = p if sampling.temperature == 1 else torch.softmax(logits.float() / sampling.temperature, dim=-1)
        if sampling.top_p < 1:
            weights = _nucleus(weights, sampling.top_p)
        cdf = weights.double().cumsum(-1)
        at = torch.from_numpy(draws).to(cdf.device)[:, None] * cdf[:, -1:]
        ids = torch.searchsorted(cdf, at, right=True)[:, 0].clamp_(max=logits.shape[-1] - 1)
    return ids.tolist(), log_p.gather(1, ids[:, None])[:, 0].tolist(), entropies.tolist()


def _nucleus(weights: Tensor, top_p: float) -> Tensor:
    """Zeroes all but the fewest tokens whose mass reaches top_p."""
    ordered, order = weights.sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return weights.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
