"""What a policy is: it opens a session for a batch of questions, and the session writes turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..envs.episode import Draft, Episode
from ..envs.questions import EpisodeSpec, Question
from ..retrieval_index.errors import BerrypickError

__all__ = ["BoundedByMemory", "CompletesEpisodes", "Policy", "Sampling", "Session"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. Training always samples at temperature 1 and top_p 1.

    Attributes:
        temperature: 0 is greedy.
        top_p: nucleus mass; 1 is the full softmax.
        max_new_tokens: most tokens of one turn.

    Raises:
        BerrypickError: a number is out of range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise BerrypickError(f"temperature must be 0 (greedy) or above, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise BerrypickError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.max_new_tokens < 1:
            raise BerrypickError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")


class Session(Protocol):
    """The rows of one batch, one per question. A language model's session has their token ids and key-value cache."""

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Writes the next turn of each row."""
        ...

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends the environment's observation to each row."""
        ...

    def finish(self, rows: Sequence[int]) -> None:
        """Frees the memory of rows that have ended."""
        ...

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Token ids of a row, int32 [T], and which of them the policy wrote, bool [T]."""
        ...


class Policy(Protocol):
    """Anything that plays episodes: a scripted rule, a language model, a remote model."""

    @property
    def policy_id(self) -> str:
        """The policy's name in records."""
        ...

    @property
    def exact_tokens(self) -> bool:
        """Whether sessions know the sampled tokens. Without them a policy can be evaluated, not trained."""
        ...

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> Session:
        """Opens a session with one row per question; the draws of row i depend only on seeds[i]."""
        ...


@runtime_checkable
class BoundedByMemory(Protocol):
    """A policy whose sessions hold much memory per row."""

    def rows_that_fit(self, questions: Sequence[Question], spec: EpisodeSpec, sampling: Sampling) -> int:
        """How many episodes can be played at a time in the memory that is free now."""
        ...


@runtime_checkable
class CompletesEpisodes(Protocol):
    """A policy whose engine returns incomplete turns, which it completes after the episodes have ended."""

    def complete(self, episodes: Sequence[Episode]) -> None:
        """Fills in the missing values, in place."""
        ...
