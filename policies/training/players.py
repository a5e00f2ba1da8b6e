"""Players: what samples the rollouts of a policy in training. The policy itself, vLLM, or a copy of sharded weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...envs.questions import EpisodeSpec, Question
from ..language.model import LanguageModelPolicy
from ..policy import Policy, Sampling, Session

__all__ = ["OwnWeights", "Player"]


class Player(Policy, Protocol):
    """Samples rollouts for the policy in training, with weights that follow it."""

    @property
    def weights(self) -> LanguageModelPolicy:
        """The complete weights, as checkpoints store them; up to date only after `sync`."""
        ...

    def sync(self) -> None:
        """Copies the weights in training to the player; all processes call it together."""
        ...

    def load(self) -> None:
        """Copies `weights`, into which a checkpoint was loaded, to the policy in training; all processes call it."""
        ...


@dataclass(frozen=True)
class OwnWeights:
    """The usual player: the policy in training samples its own rollouts."""

    weights: LanguageModelPolicy
    exact_tokens: bool = True

    @property
    def policy_id(self) -> str:
        """The id of the weights."""
        return self.weights.policy_id

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> Session:
        """Opens a session that samples from the weights."""
        return self.weights.start(questions, spec, seeds, sampling)

    def rows_that_fit(self, questions: Sequence[Question], spec: EpisodeSpec, sampling: Sampling) -> int:
        """How many episodes can be played at a time in the memory that is free now."""
        return self.weights.rows_that_fit(questions, spec, sampling)

    def sync(self) -> None:
        """Does nothing: there is one copy of the weights."""

    def load(self) -> None:
        """Does nothing: there is one copy of the weights."""
