"""The token ids of each episode, written in turn by the policy and the environment; every engine's session has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...envs.formats.observation_limit import leading_chars
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.errors import BerrypickError
from ..policy import Sampling
from .encoding import encode, encode_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["Context", "ContextSession", "Contexts"]


@dataclass(slots=True)
class Context:
    """The tokens of one episode so far.

    Attributes:
        ids: token ids, [T].
        mask: True where the policy wrote the token, [T].
        seed: seeds the row's draws.
        num_drawn: tokens sampled so far.
        full: the window has no room for another turn.
    """

    ids: list[int]
    mask: list[bool]
    seed: int
    num_drawn: int = 0
    full: bool = False


class Contexts:
    """One row per question, starting with its prompt. Sampled tokens are stored as drawn and never encoded again.

    Args:
        tokenizer: encodes prompts and observations.
        questions: one per row.
        spec: the rules of the episodes; decides the prompt.
        seeds: one per row.
        sampling: limits the tokens of a turn.
        window: the most tokens the model attends to.
        policy_id: names the model in errors.

    Raises:
        BerrypickError: no prompt leaves room for a turn.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        questions: Sequence[Question],
        spec: EpisodeSpec,
        seeds: Sequence[int],
        sampling: Sampling,
        *,
        window: int,
        policy_id: str,
    ) -> None:
        self._tokenizer, self._window, self._sampling = tokenizer, window, sampling
        prompts = {question.id: encode_prompt(tokenizer, question, spec) for question in questions}
        self.rows = [
            Context(list(prompts[question.id]), [False] * len(prompts[question.id]), seed)
            for question, seed in zip(questions, seeds, strict=True)
        ]
        shortest = min((len(row.ids) for row in self.rows), default=0)
        if shortest + sampling.max_new_tokens > window:
            raise BerrypickError(
                f"the shortest prompt ({shortest} tokens) plus a turn of {sampling.max_new_tokens} exceeds the window "
                f"of {window} of {policy_id}; shorten the prompt or lower --max-new-tokens"
            )

    @property
    def pad_id(self) -> int:
        """The token that fills up rows."""
        return int(self._tokenizer.pad_token_id or 0)

    def with_room(self, rows: Sequence[int]) -> list[int]:
        """The rows whose window has room for another turn; marks the others as full."""
        for row in rows:
            self.rows[row].full |= len(self.rows[row].ids) + self._sampling.max_new_tokens > self._window
        return [row for row in rows if not self.rows[row].full]

    def append_turn(self, row: int, ids: Sequence[int]) -> None:
        """Appends the tokens that the policy sampled."""
        self.rows[row].ids += ids
        self.rows[row].mask += [True] * len(ids)

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends observations, each encoded by itself; a full row no longer grows."""
        for row, text in zip(rows, texts, strict=True):
            state = self.rows[row]
            if text and not state.full:
                ids = encode(self._tokenizer, text)
                state.ids += ids
                state.mask += [False] * len(ids)

    def leading_chars(self, text: str, max_tokens: int) -> int:
        """How many leading characters of a text fit into `max_tokens` tokens."""
        return leading_chars(self._tokenizer, text, max_tokens)

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Token ids int32 [T] and policy mask bool [T] of a row."""
        return np.asarray(self.rows[row].ids, np.int32), np.asarray(self.rows[row].mask, np.bool_)


class ContextSession:
    """The part of a session that all engines share; they differ in how `act` samples and what `finish` frees."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends observations, each encoded by itself."""
        self._contexts.observe(rows, texts)

    def leading_chars(self, text: str, max_tokens: int) -> int:
        """How many leading characters of a text fit into `max_tokens` tokens."""
        return self._contexts.leading_chars(text, max_tokens)

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Token ids int32 [T] and policy mask bool [T] of a row."""
        return self._contexts.token_ids(row)
