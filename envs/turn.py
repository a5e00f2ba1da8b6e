"""What one turn is made of: the policy's draft with its tokens, the action it was read as, what came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..retrieval_index.searcher import Hit
from .formats.actions import Action

__all__ = ["Draft", "StepResult", "Tokens", "Turn"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The sampled tokens of one turn; all arrays [T]; temperature 1, full softmax, nats.

    Attributes:
        ids: int32 token ids.
        log_probs: float32 log-probability of each sampled token.
        entropies: float32 entropy of the distribution each token was drawn from.
        char_starts: int32 offset in the turn's text at which each token begins.
    """

    ids: NDArray[np.int32]
    log_probs: NDArray[np.float32]
    entropies: NDArray[np.float32]
    char_starts: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Draft:
    """A turn as the policy wrote it."""

    text: str
    tokens: Tokens | None = None
    stopped_by: Literal["tag", "eos", "length"] = "tag"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn and what came back: a row of the record."""

    draft: Draft
    action: Action
    hits: tuple[tuple[Hit, ...], ...]
    observation: str
    error: str | None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step returns, Gymnasium's five values."""

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]
