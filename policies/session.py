"""Live rows of a language model: token in, token out, one KV cache across turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers.decoders import DecodeStream
from torch import Tensor

from ..envs.episode import Draft, Tokens
from ..envs.observation_limit import leading_chars
from ..envs.questions import EpisodeSpec, Question
from ..envs.turn_format import get_turn_format
from ..retrieval_index.errors import BerrypickError
from .counter_random import uniforms
from .policy import Sampling
from .row_cache import RowCache, forward_rows

if TYPE_CHECKING:
    from .language_model import LanguageModelPolicy

__all__ = ["LanguageModelSession", "sample_tokens"]


@dataclass(slots=True)
class _Row:
    """The context of one episode; `ids[cached:]` has not been through the model yet."""

    ids: list[int]
    mask: list[bool]
    seed: int
    num_drawn: int = 0
    full: bool = False


@dataclass(slots=True)
class _Turn:
    """A turn being sampled."""

    stream: Any
    text: str = ""
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    char_starts: list[int] = field(default_factory=list)
    stopped_by: Literal["tag", "eos", "length"] = "length"

    def next_piece(self, backend: Any, token: int) -> str:
        """The characters a token completes; bytes before it that can never become one show as U+FFFD."""
        try:
            return self.stream.step(backend, token) or ""
        except Exception:  # the decoder raises a bare Exception once the bytes it holds are no UTF-8
            self.stream = DecodeStream(skip_special_tokens=False)
            return "\ufffd" + (self.stream.step(backend, token) or "")

    def draft(self) -> Draft:
        if not np.isfinite(self.log_probs).all():
            raise BerrypickError("the model returns non-finite probabilities; go back to an earlier checkpoint")
        tokens = Tokens(
            np.asarray(self.ids, np.int32),
            np.asarray(self.log_probs, np.float32),
            np.asarray(self.entropies, np.float32),
            np.asarray(self.char_starts, np.int32),
        )
        return Draft(self.text, tokens, self.stopped_by)


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
        from .language_model import encode_prompt

        self._policy, self._sampling = policy, sampling
        self._stop = get_turn_format(spec.turn_format).stop
        self._longest_stop = max(map(len, self._stop), default=0)
        prompts = {question.id: encode_prompt(policy.tokenizer, question, spec) for question in questions}
        self._rows = [
            _Row(list(prompts[question.id]), [False] * len(prompts[question.id]), seed)
            for question, seed in zip(questions, seeds, strict=True)
        ]
        shortest = min((len(row.ids) for row in self._rows), default=0)
        if shortest + sampling.max_new_tokens > policy.window:
            raise BerrypickError(
                f"all prompts ({shortest} tokens at least) and a turn of {sampling.max_new_tokens} exceed the window "
                f"of {policy.window} of {policy.policy_id}; shorten the prompt or lower --max-new-tokens"
            )
        self._live = list(range(len(self._rows)))
        self._finished: set[int] = set()
        self._cache = RowCache(torch.zeros(len(self._rows), dtype=torch.int64, device=policy.model.device))
        self._eos = _eos_ids(policy)

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Samples the next turn of each row; a row whose window is full writes an empty turn."""
        turns = {row: _Turn(DecodeStream(skip_special_tokens=False)) for row in rows}
        for row in rows:
            self._rows[row].full |= len(self._rows[row].ids) + self._sampling.max_new_tokens > self._policy.window
        writing = [row for row in rows if not self._rows[row].full]
        if writing:
            self._compact()
            with torch.inference_mode():
                self._write(writing, turns)
        for row in writing:
            state, turn = self._rows[row], turns[row]
            state.ids += turn.ids
            state.mask += [True] * len(turn.ids)
        return [turns[row].draft() for row in rows]

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends observations, each encoded alone."""
        from .language_model import encode

        for row, text in zip(rows, texts, strict=True):
            state = self._rows[row]
            if text and not state.full:
                ids = encode(self._policy.tokenizer, text)
                state.ids += ids
                state.mask += [False] * len(ids)

    def leading_chars(self, text: str, max_tokens: int) -> int:
        """How many leading characters of a text are at most so many tokens."""
        return leading_chars(self._policy.tokenizer, text, max_tokens)

    def finish(self, rows: Sequence[int]) -> None:
        """Drops rows; the cache is compacted before the next turn."""
        self._finished.update(rows)

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Token ids int32 [T] and policy mask bool [T] of a row."""
        return np.asarray(self._rows[row].ids, np.int32), np.asarray(self._rows[row].mask, np.bool_)

    def _compact(self) -> None:
        keep = [at for at, row in enumerate(self._live) if row not in self._finished and not self._rows[row].full]
        if len(keep) < len(self._live):
            self._cache = self._cache.select(torch.tensor(keep, dtype=torch.int64, device=self._cache.lengths.device))
            self._live = [self._live[at] for at in keep]

    def _write(self, rows: list[int], turns: dict[int, _Turn]) -> None:
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

    def _sample(self, rows: list[int], logits: Tensor, turns: dict[int, _Turn]) -> None:
        seeds = np.array([self._rows[row].seed for row in rows], dtype=np.uint64)
        steps = np.array([self._rows[row].num_drawn for row in rows], dtype=np.int64)
        ids, log_probs, entropies = sample_tokens(logits, uniforms(seeds, steps), self._sampling)
        backend = self._policy.tokenizer.backend_tokenizer
        for row, token, log_prob, entropy in zip(rows, ids, log_probs, entropies):
            turn = turns[row]
            self._rows[row].num_drawn += 1
            turn.char_starts.append(len(turn.text))
            turn.ids.append(token)
            turn.log_probs.append(log_prob)
            turn.entropies.append(entropy)
            if token in self._eos:
                turn.stopped_by = "eos"
                continue
            piece = turn.next_piece(backend, token)
            if piece:
                searched_from = max(0, len(turn.text) - self._longest_stop)
                turn.text += piece
                if any(turn.text.find(tag, searched_from) >= 0 for tag in self._stop):
                    turn.stopped_by = "tag"


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


def _eos_ids(policy: LanguageModelPolicy) -> frozenset[int]:
    configured = getattr(policy.model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(i for i in (*ids, policy.tokenizer.eos_token_id) if i is not None)
