"""The parts of one turn: the policy's text with its tokens, the action it was parsed as, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..retrieval_index.searcher import Hit
from .formats.actions import Action

__all__ = ["Draft", "StepResult", "Tokens", "Turn", "Usage"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The sampled tokens of one turn. All arrays are [T], in nats, of the full softmax at temperature 1.

    Attributes:
        ids: int32 token ids.
        log_probs: float32 log-probability of each sampled token.
        entropies: float32 entropy of the distribution that each token was drawn from.
        char_starts: int32 offset in the turn's text where each token begins.
    """

    ids: NDArray[np.int32]
    log_probs: NDArray[np.float32]
    entropies: NDArray[np.float32]
    char_starts: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Usage:
    """Numbers of tokens of one request, as an endpoint counts and bills them.

    Attributes:
        prompt_tokens: tokens of the messages that were sent.
        completion_tokens: tokens that the model wrote, hidden reasoning included.
    """

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A turn as the policy wrote it. Policies behind an endpoint know `usage` instead of `tokens`."""

    text: str
    tokens: Tokens | None = None
    stopped_by: Literal["tag", "eos", "length"] = "tag"
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: the draft, its action, the hits, and the observation that answered it."""

    draft: Draft
    action: Action
    hits: tuple[tuple[Hit, ...], ...]
    observation: str
    error: str | None


@dataclass(frozen=True, slots=True)
class StepResult:
    """The five values of a Gymnasium step."""

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]
