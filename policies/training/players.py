"""Who plays the rollouts of a policy that trains: the policy itself, vLLM, or a whole copy of sharded weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...envs.questions import EpisodeSpec, Question
from ..language.model import LanguageModelPolicy
from ..policy import Policy, Sampling, Session

__all__ = ["OwnWeights", "Player"]


class Player(Policy, Protocol):
    """A policy that plays for the one that trains, and follows it."""

    @property
    def weights(self) -> LanguageModelPolicy:
        """The whole weights, what checkpoints hold; after an update, current once `refresh` was called."""
        ...

    def refresh(self) -> None:
        """Takes over what updates have changed; all processes call it together."""
        ...

    def adopt(self) -> None:
        """Gives `weights`, into which a checkpoint was loaded, to the policy that trains; all processes call it."""
        ...


@dataclass(frozen=True)
class OwnWeights:
    """The usual case: the policy that trains plays its own rollouts."""

    weights: LanguageModelPolicy
    exact_tokens: bool = True

    @property
    def policy_id(self) -> str:
        """That of the weights."""
        return self.weights.policy_id

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> Session:
        """Opens a session of the weights."""
        return self.weights.start(questions, spec, seeds, sampling)

    def refresh(self) -> None:
        """There is one copy."""

    def adopt(self) -> None:
        """There is one copy."""
