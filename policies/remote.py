"""A model behind an OpenAI-compatible completions endpoint: vLLM, SGLang, llama.cpp, `transformers serve`, a service.

Such endpoints return text, not the sampled tokens, so these policies can be evaluated but not trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import urllib3

from ..envs.episode import Draft
from ..envs.formats.turn_format import TurnFormat, get_turn_format
from ..envs.questions import EpisodeSpec, Question
from ..retrieval_index.errors import BerrypickError
from .endpoint import Endpoint, address_and_model, ended_text, usage_of
from .policy import Sampling

__all__ = ["RemotePolicy", "no_tokens", "open_remote"]

_PATH = "/completions"


@dataclass(frozen=True)
class RemotePolicy(Endpoint):
    """A remote model that continues a text; the attributes are those of `Endpoint`."""

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> _RemoteSession:
        """Opens a session of one row per question. Requests contain a seed, which not every server uses."""
        turn_format = get_turn_format(spec.turn_format)
        rows = [
            _Row("\n".join(message["content"] for message in turn_format.prompt(question, spec)) + "\n", seed)
            for question, seed in zip(questions, seeds, strict=True)
        ]
        return _RemoteSession(self, rows, turn_format, sampling, self.pool())


@dataclass(slots=True)
class _Row:
    context: str
    seed: int
    turns: int = 0


@dataclass(slots=True)
class _RemoteSession:
    policy: RemotePolicy
    rows: list[_Row]
    turn_format: TurnFormat
    sampling: Sampling
    pool: urllib3.PoolManager = field(repr=False)

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Requests the next turn of all rows at once."""
        drafts = self.policy.in_parallel(self._complete, [self.rows[row] for row in rows])
        for row, draft in zip(rows, drafts):
            self.rows[row].context += draft.text
            self.rows[row].turns += 1
        return drafts

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Appends the environment's observation to each row."""
        for row, text in zip(rows, texts, strict=True):
            self.rows[row].context += text

    def finish(self, rows: Sequence[int]) -> None:
        """Drops the contexts of rows that have ended."""
        for row in rows:
            self.rows[row].context = ""

    def token_ids(self, row: int) -> NoReturn:
        """Raises `BerrypickError`: a remote policy has no exact tokens."""
        no_tokens()

    def _complete(self, row: _Row) -> Draft:
        stop = self.turn_format.stop
        body = {
            "model": self.policy.model,
            "prompt": row.context,
            "max_tokens": self.sampling.max_new_tokens,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "stop": list(stop),
            "seed": (row.seed + row.turns) % 2**31,
        }
        reply = self.policy.post(self.pool, _PATH, body)
        choice = self.policy.choice(reply, _PATH, "completion")
        text, stopped_by = ended_text(choice, str(choice.get("text") or ""), stop)
        return Draft(self.turn_format.cut(text), None, stopped_by, usage_of(reply))


def no_tokens() -> NoReturn:
    """Raises `BerrypickError`: what an endpoint's session answers to a request for token ids."""
    raise BerrypickError("a remote policy has no exact tokens and can be evaluated, not trained; use a language model")


def open_remote(name: str) -> RemotePolicy:
    """The policy named by URL#MODEL, e.g. "http://localhost:8000/v1#smollm2"."""
    return RemotePolicy(*address_and_model(name, "http://localhost:8000/v1#my-model"))
