"""What a policy is: it opens a session for a batch of questions and writes turns."""

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

__all__ = ["CompletesEpisodes", "Policy", "Sampling", "Session"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; training refuses anything but temperature 1 and top_p 1.

    Attributes:
        temperature: 0 is greedy.
        top_p: nucleus mass, 1 is the full softmax.
        max_new_tokens: most tokens of one turn.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise BerrypickError(f"temperature must be 0 (greedy) or above, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise BerrypickError(f"top_p must lie above 0 and at most at 1, got {self.top_p}")
        if self.max_new_tokens < 1:
            raise BerrypickError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")


class Session(Protocol):
    """The rows of one batch; a language model's session owns their token ids and KV cache."""

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """The next turn of each row."""
        ...

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends what the environment answered."""
        ...

    def finish(self, rows: Sequence[int]) -> None:
        """These rows have ended and free their memory."""
        ...

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """All token ids of a row, [T], and which of them the policy wrote, [T]."""
        ...


class Policy(Protocol):
    """Scripted, language model, remote or human."""

    @property
    def policy_id(self) -> str:
        """Names the policy in records."""
        ...

    @property
    def exact_tokens(self) -> bool:
        """Whether sessions know the sampled tokens; without them a policy may be evaluated, not trained."""
        ...

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> Session:
        """Opens a session with one row for each question; row i draws from seeds[i] alone."""
        ...


@runtime_checkable
class CompletesEpisodes(Protocol):
    """A policy whose engine leaves something of a turn unknown, which it adds once the episodes have ended."""

    def complete(self, episodes: Sequence[Episode]) -> None:
        """Fills in what is missing, in place."""
        ...
