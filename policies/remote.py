"""A model behind an OpenAI-compatible completions endpoint: vLLM, SGLang, llama.cpp, `transformers serve`, a service.

Such endpoints return text, not the sampled tokens, so these policies can be evaluated but not trained.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import urllib3
from numpy.typing import NDArray

from ..envs.episode import Draft
from ..envs.formats.turn_format import get_turn_format
from ..envs.questions import EpisodeSpec, Question
from ..retrieval_index.errors import BerrypickError
from .policy import Sampling

__all__ = ["RemotePolicy", "open_remote"]


@dataclass(frozen=True)
class RemotePolicy:
    """A remote model.

    Attributes:
        url: address without /completions, e.g. "http://localhost:8000/v1".
        model: the model's name on the server.
        key: bearer token; the variable BERRYPICK_API_KEY by default.
        workers: most requests at a time.
        timeout_s: time limit of one request.
        retries: how often to repeat a request if the server is busy or unreachable.
        exact_tokens: always False.
    """

    url: str
    model: str
    key: str | None = None
    workers: int = 16
    timeout_s: float = 120.0
    retries: int = 4
    exact_tokens: bool = False

    @property
    def policy_id(self) -> str:
        """The model's name."""
        return self.model

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> _RemoteSession:
        """Opens a session of one row per question. Requests contain a seed, which not every server uses."""
        turn_format = get_turn_format(spec.turn_format)
        rows = [
            _Row("\n".join(message["content"] for message in turn_format.prompt(question, spec)) + "\n", seed)
            for question, seed in zip(questions, seeds, strict=True)
        ]
        retry = urllib3.Retry(
            self.retries, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None
        )
        pool = urllib3.PoolManager(maxsize=self.workers, retries=retry)
        return _RemoteSession(self, rows, turn_format.stop, sampling, pool)


@dataclass(slots=True)
class _Row:
    context: str
    seed: int
    turns: int = 0


@dataclass(slots=True)
class _RemoteSession:
    policy: RemotePolicy
    rows: list[_Row]
    stop: tuple[str, ...]
    sampling: Sampling
    pool: urllib3.PoolManager = field(repr=False)

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Requests the next turn of all rows at once."""
        with ThreadPoolExecutor(self.policy.workers) as workers:
            drafts = list(workers.map(self._complete, [self.rows[row] for row in rows]))
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

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Raises `BerrypickError`: a remote policy has no exact tokens."""
        raise BerrypickError(
            "a remote policy has no exact tokens and can be evaluated, not trained; use a language model"
        )

    def _complete(self, row: _Row) -> Draft:
        body = {
            "model": self.policy.model,
            "prompt": row.context,
            "max_tokens": self.sampling.max_new_tokens,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "stop": list(self.stop),
            "seed": (row.seed + row.turns) % 2**31,
        }
        choice = self._post(body)
        text = self._with_stop(str(choice.get("text") or ""))
        if any(tag in text for tag in self.stop):
            return Draft(text, None, "tag")
        return Draft(text, None, "length" if choice.get("finish_reason") == "length" else "eos")

    def _with_stop(self, text: str) -> str:
        """Puts back a closing tag: servers cut the stop string off."""
        for tag in self.stop:
            if tag.startswith("</") and text.rfind(f"<{tag[2:]}") > text.rfind(tag):
                return text + tag
        return text

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        policy = self.policy
        key = policy.key or os.environ.get("BERRYPICK_API_KEY")
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            reply = self.pool.request(
                "POST",
                f"{policy.url.rstrip('/')}/completions",
                body=json.dumps(body),
                headers=headers,
                timeout=policy.timeout_s,
            )
        except urllib3.exceptions.HTTPError as error:
            raise BerrypickError(
                f"no answer from {policy.url} ({type(error).__name__}); start its server or correct the address"
            ) from error
        try:
            choice: dict[str, Any] = json.loads(reply.data)["choices"][0]
        except (ValueError, KeyError, IndexError, TypeError):
            said = reply.data[:200].decode("utf-8", "replace").replace("\n", " ")
            raise BerrypickError(
                f"{policy.url} answered {reply.status} without a completion ({said}); "
                "check the model's name and the address, which /completions is appended to"
            ) from None
        return choice


def open_remote(name: str) -> RemotePolicy:
    """The policy named by URL#MODEL, e.g. "http://localhost:8000/v1#smollm2"."""
    url, mark, model = name.partition("#")
    if not mark or not model:
        raise BerrypickError(
            f"a remote policy is URL#MODEL, got {name!r}; write for example http://localhost:8000/v1#my-model"
        )
    return RemotePolicy(url, model)
