"""Turns sampled tokens into a turn: its text, the character where each token begins, and what ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tokenizers.decoders import DecodeStream

from ...envs.episode import Draft, Tokens
from ...retrieval_index.errors import BerrypickError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["TurnEnds", "TurnWriter"]


class TurnEnds:
    """What ends a turn: a stop tag in its text, or an end-of-sequence token."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tags: tuple[str, ...]) -> None:
        configured = getattr(model.generation_config, "eos_token_id", None)
        ids = configured if isinstance(configured, list) else [configured]
        self.tags, self.longest = tags, max(map(len, tags), default=0)
        self.last = frozenset(tag[-1] for tag in tags)
        self.eos = frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)
        self.backend: Any = tokenizer.backend_tokenizer


class TurnWriter:
    """A turn while it is being sampled."""

    __slots__ = ("char_starts", "ends", "entropies", "ids", "log_probs", "stopped_by", "stream", "text")

    def __init__(self, ends: TurnEnds) -> None:
        self.ends, self.stream, self.text = ends, DecodeStream(skip_special_tokens=False), ""
        self.ids: list[int] = []
        self.log_probs: list[float] = []
        self.entropies: list[float] = []
        self.char_starts: list[int] = []
        self.stopped_by: Literal["tag", "eos", "length"] = "length"

    def add(self, token: int, log_prob: float, entropy: float) -> bool:
        """Adds one sampled token with its log-probability and entropy in nats; returns whether the turn continues."""
        self.char_starts.append(len(self.text))
        self.ids.append(token)
        self.log_probs.append(log_prob)
        self.entropies.append(entropy)
        if token in self.ends.eos:
            self.stopped_by = "eos"
            return False
        piece = self._piece(token)
        if piece:
            searched_from = max(0, len(self.text) - self.ends.longest)
            self.text += piece
            if self.ends.last.isdisjoint(piece):  # no tag can end here
                return True
            if any(self.text.find(tag, searched_from) >= 0 for tag in self.ends.tags):
                self.stopped_by = "tag"
                return False
        return True

    def _piece(self, token: int) -> str:
        """The characters that a token completes; bytes that cannot become a character show as U+FFFD."""
        try:
            return self.stream.step(self.ends.backend, token) or ""
        except Exception:  # the decoder raises a bare Exception when its pending bytes are not UTF-8
            self.stream = DecodeStream(skip_special_tokens=False)
            return "\ufffd" + (self.stream.step(self.ends.backend, token) or "")

    def draft(self) -> Draft:
        """The turn, ready for the environment."""
        if not np.isfinite(self.log_probs).all():
            raise BerrypickError(
                "the model returns non-finite probabilities; load an earlier checkpoint or use --dtype float32"
            )
        tokens = Tokens(
            np.asarray(self.ids, np.int32),
            np.asarray(self.log_probs, np.float32),
            np.asarray(self.entropies, np.float32),
            np.asarray(self.char_starts, np.int32),
        )
        return Draft(self.text, tokens, self.stopped_by)
