"""Rows of token ids that a policy and its environment write in turn: what every session of exact tokens holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...envs.formats.observation_limit import leading_chars
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.errors import BerrypickError
from ..policy import Sampling
from .model import LanguageModelPolicy, encode, encode_prompt

__all__ = ["Context", "ContextSession", "Contexts"]


@dataclass(slots=True)
class Context:
    """The tokens of one episode so far, and which of them the policy wrote.

    Attributes:
        seed: what the row's draws depend on.
        num_drawn: tokens sampled so far.
        full: the window has no room for another turn.
    """

    ids: list[int]
    mask: list[bool]
    seed: int
    num_drawn: int = 0
    full: bool = False


class Contexts:
    """One row for each question, opened with its prompt. Observations are encoded alone, sampled tokens never again."""

    def __init__(
        self,
        policy: LanguageModelPolicy,
        questions: Sequence[Question],
        spec: EpisodeSpec,
        seeds: Sequence[int],
        sampling: Sampling,
    ) -> None:
        self._policy, self._sampling = policy, sampling
        prompts = {question.id: encode_prompt(policy.tokenizer, question, spec) for question in questions}
        self.rows = [
            Context(list(prompts[question.id]), [False] * len(prompts[question.id]), seed)
            for question, seed in zip(questions, seeds, strict=True)
        ]
        shortest = min((len(row.ids) for row in self.rows), default=0)
        if shortest + sampling.max_new_tokens > policy.window:
            raise BerrypickError(
                f"all prompts ({shortest} tokens at least) and a turn of {sampling.max_new_tokens} exceed the window "
                f"of {policy.window} of {policy.policy_id}; shorten the prompt or lower --max-new-tokens"
            )

    def with_room(self, rows: Sequence[int]) -> list[int]:
        """Those of the rows whose window holds another turn; the others are full for good."""
        for row in rows:
            self.rows[row].full |= len(self.rows[row].ids) + self._sampling.max_new_tokens > self._policy.window
        return [row for row in rows if not self.rows[row].full]

    def append_turn(self, row: int, ids: Sequence[int]) -> None:
        """What the policy wrote."""
        self.rows[row].ids += ids
        self.rows[row].mask += [True] * len(ids)

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """What the environment answered."""
        for row, text in zip(rows, texts, strict=True):
            state = self.rows[row]
            if text and not state.full:
                ids = encode(self._policy.tokenizer, text)
                state.ids += ids
                state.mask += [False] * len(ids)

    def leading_chars(self, text: str, max_tokens: int) -> int:
        """How many leading characters of a text are at most so many tokens."""
        return leading_chars(self._policy.tokenizer, text, max_tokens)

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Token ids int32 [T] and policy mask bool [T] of a row."""
        return np.asarray(self.rows[row].ids, np.int32), np.asarray(self.rows[row].mask, np.bool_)


class ContextSession:
    """What the sessions of all engines do alike: they differ in how `act` samples and in what `finish` frees."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends observations, each encoded alone."""
        self._contexts.observe(rows, texts)

    def leading_chars(self, text: str, max_tokens: int) -> int:
        """How many leading characters of a text are at most so many tokens."""
        return self._contexts.leading_chars(text, max_tokens)

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Token ids int32 [T] and policy mask bool [T] of a row."""
        return self._contexts.token_ids(row)
