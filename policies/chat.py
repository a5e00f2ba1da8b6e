"""A model behind an OpenAI-compatible chat endpoint, with function calls or with tags.

Such endpoints return text, not the sampled tokens, so these policies can be evaluated but not trained.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

import numpy as np
import urllib3

from ..envs.episode import Draft, Tokens
from ..envs.formats.turn_format import TurnFormat, get_turn_format
from ..envs.questions import EpisodeSpec, Question
from ..retrieval_index.errors import BerrypickError, UnknownNameError
from .chat_turns import TASK, TOOLS, ChatTurn, observed, tag_turn, thoughtful, tool_prompt, tool_turn
from .endpoint import Endpoint, Reply, address_and_model, usage_of
from .policy import Sampling
from .remote import no_tokens

__all__ = ["CHAT", "ChatPolicy", "chat_name", "open_chat"]

logger = logging.getLogger(__name__)

CHAT = "chat"
"""What the name of a chat policy begins with."""

_EXAMPLE = "chat:http://localhost:8000/v1#my-model"
_PATH = "/chat/completions"
_OPTIONS = {"workers": int, "timeout_s": float, "retries": int}

# Parameters that some services refuse, and what replaces them. Leaving out `stop` or `seed` changes no episode's rules.
_REPLACED: dict[str, str | None] = {"max_tokens": "max_completion_tokens", "stop": None, "seed": None}
_REFUSAL = re.compile(
    r"unsupported|not supported|unknown|unrecogni[sz]ed|unexpected|extra|not permitted", re.IGNORECASE
)
_TOO_LONG = re.compile(
    r"context[_ ](length|window)|maximum context|\b(prompt|input|request)\b.{0,40}\btoo (long|large)", re.IGNORECASE
)

_NOTHING = np.zeros(0, np.int32), np.zeros(0, np.float32)
_WINDOW_FULL = Draft("", Tokens(_NOTHING[0], _NOTHING[1], _NOTHING[1], _NOTHING[0]), "length")
"""A turn of no tokens: the rollout engine ends the episode because its context window is full."""


@dataclass(frozen=True)
class ChatPolicy(Endpoint):
    """A chat model; the attributes are those of `Endpoint`.

    The turn format of the episode decides how the model acts. With `tool_call` it gets the functions `search` and
    `answer`, and a reply without a call is its answer. With any other format it writes that format's tags.
    """

    @property
    def template_hash(self) -> str:
        """Digest of the functions and of the words that describe them, recorded with each episode."""
        return hashlib.sha256(json.dumps([TASK, *TOOLS], sort_keys=True).encode()).hexdigest()[:16]

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> _ChatSession:
        """Opens a session of one conversation per question. Requests contain a seed, which not every server uses."""
        turn_format = get_turn_format(spec.turn_format)
        calls = spec.turn_format == "tool_call"
        rows = [
            _Row(tool_prompt(question, spec) if calls else [dict(m) for m in turn_format.prompt(question, spec)], seed)
            for question, seed in zip(questions, seeds, strict=True)
        ]
        return _ChatSession(self, rows, turn_format, spec.num_answers if calls else None, sampling, self.pool())


@dataclass(slots=True)
class _Row:
    messages: list[dict[str, Any]]
    seed: int
    turns: int = 0
    call_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class _ChatSession:
    """Conversations with one model.

    Attributes:
        num_answers: answers that count, if the model calls functions; None if it writes tags.
        refused: parameters that the service was found to refuse.
    """

    policy: ChatPolicy
    rows: list[_Row]
    turn_format: TurnFormat
    num_answers: int | None
    sampling: Sampling
    pool: urllib3.PoolManager = field(repr=False)
    refused: set[str] = field(default_factory=set)

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Requests the next turn of all rows at once."""
        return self.policy.in_parallel(self._turn, [self.rows[row] for row in rows])

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends the environment's observation to each conversation."""
        for row, text in zip(rows, texts, strict=True):
            message = self.turn_format.message(text)
            known = self.rows[row]
            known.messages += [message] if self.num_answers is None else observed(message, known.call_ids)

    def finish(self, rows: Sequence[int]) -> None:
        """Drops the conversations of rows that have ended."""
        for row in rows:
            self.rows[row].messages = []

    def token_ids(self, row: int) -> NoReturn:
        """Raises `BerrypickError`: a remote policy has no exact tokens."""
        no_tokens()

    def _turn(self, row: _Row) -> Draft:
        reply = self._ask(row)
        if reply.status in (400, 413, 422) and _TOO_LONG.search(reply.said):
            return _WINDOW_FULL
        choice = self.policy.choice(reply, _PATH, "chat completion")
        turn = self._read(choice)
        row.messages.append(turn.message)
        row.call_ids = turn.call_ids
        row.turns += 1
        return Draft(turn.text, None, turn.stopped_by, usage_of(reply))

    def _read(self, choice: dict[str, Any]) -> ChatTurn:
        if self.num_answers is None:
            turn = tag_turn(choice, self.turn_format)
        else:
            turn = tool_turn(choice, self.turn_format, self.num_answers)
        return thoughtful(turn, choice)

    def _ask(self, row: _Row) -> Reply:
        """Sends the conversation, again without each parameter that the service refuses."""
        while True:
            body = self._body(row)
            reply = self.policy.post(self.pool, _PATH, body)
            named = [name for name in _REPLACED if name in body and re.search(rf"\b{name}\b", reply.said)]
            if reply.status not in (400, 422) or not named or not _REFUSAL.search(reply.said):
                return reply
            if not self.refused.issuperset(named):
                logger.warning("%s takes no %s; requests go without it", self.policy.url, " and no ".join(named))
            self.refused.update(named)

    def _body(self, row: _Row) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.policy.model,
            "messages": row.messages,
            "max_tokens": self.sampling.max_new_tokens,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "seed": (row.seed + row.turns) % 2**31,
        }
        if self.num_answers is None:
            body["stop"] = list(self.turn_format.stop)
        else:
            body["tools"] = list(TOOLS)
        for name in self.refused & body.keys():
            value, other = body.pop(name), _REPLACED[name]
            if other is not None:
                body[other] = value
        return body


def chat_name(name: str) -> str | None:
    """The name of a chat policy without its options, "chat:URL#MODEL"; None for the name of another policy."""
    head, colon, rest = name.partition(":")
    return f"{CHAT}:{rest}" if colon and head.split(",")[0] == CHAT else None


def open_chat(name: str) -> ChatPolicy:
    """The policy named by chat:URL#MODEL. Options go in between: "chat,workers=4,timeout_s=300,retries=6:URL#MODEL".

    Raises:
        BerrypickError: a part of the name is missing, or an option is unknown or out of range.
    """
    head, _, rest = name.partition(":")
    options: dict[str, Any] = {}
    for key, _, text in (pair.partition("=") for pair in head.split(",")[1:]):
        if key not in _OPTIONS:
            raise UnknownNameError(f"option of {CHAT}", key, _OPTIONS)
        try:
            options[key] = _OPTIONS[key](text)
        except ValueError:
            options[key] = -1
        if not (0 if key == "retries" else 1e-3) <= options[key] < float("inf"):
            default = next(known.default for known in fields(ChatPolicy) if known.name == key)
            raise BerrypickError(f"{CHAT}: {key}={text} is not a value of {key}; write for example {key}={default}")
    return ChatPolicy(*address_and_model(rest, _EXAMPLE), **options)
