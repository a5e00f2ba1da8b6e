"""What all policies behind an OpenAI-compatible endpoint share: the address, the key, requests with repetitions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import urllib3

from ..envs.formats.actions import cut_turn
from ..envs.turn import Usage
from ..retrieval_index.errors import BerrypickError
from ..retrieval_index.json_text import parse_json
from ..retrieval_index.plain_text import safe_text

__all__ = ["KEY", "Endpoint", "Reply", "StoppedBy", "address_and_model", "ended_text", "usage_of"]

KEY = "BERRYPICK_API_KEY"
"""Environment variable with the key. It is sent to any address that the user names."""

_BUSY = (408, 429, 500, 502, 503, 504, 529)
_LONGEST_WAIT_S = 120.0
_SHOWN = 300
_SHORTEST_SECRET = 6  # shorter keys, such as "none" for a local server, are words that replies may contain

_STOPPED_AT = ("stop_reason", "matched_stop")
StoppedBy = Literal["tag", "eos", "length"]
_Row = TypeVar("_Row")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the server.

    Attributes:
        status: HTTP status.
        data: the JSON document; None if the body is no JSON.
        said: the beginning of the body in one line, without the key, for error messages.
    """

    status: int
    data: Any
    said: str


@dataclass(frozen=True)
class Endpoint:
    """A model on a server.

    Attributes:
        url: address to which paths are appended, e.g. "http://localhost:8000/v1".
        model: the model's name on the server.
        key: bearer token. By default that of the variable BERRYPICK_API_KEY; for api.openai.com also OPENAI_API_KEY.
        workers: most requests at a time.
        timeout_s: time limit of one request.
        retries: how often to repeat a request if the server is busy or unreachable.
        exact_tokens: always False: endpoints return text, not the sampled tokens.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    workers: int = 16
    timeout_s: float = 120.0
    retries: int = 4
    exact_tokens: bool = False

    @property
    def policy_id(self) -> str:
        """The model's name."""
        return self.model

    def pool(self) -> urllib3.PoolManager:
        """Connections that repeat a failed request, each time after a longer wait."""
        retry = _Retry(
            self.retries,
            backoff_factor=0.5,
            backoff_jitter=0.2,
            status_forcelist=_BUSY,
            allowed_methods=None,
            raise_on_status=False,
        )
        return urllib3.PoolManager(maxsize=self.workers, retries=retry)

    def post(self, pool: urllib3.PoolManager, path: str, body: dict[str, Any]) -> Reply:
        """Sends one request.

        Raises:
            BerrypickError: the server is not reachable or stays busy, or it refuses the key.
        """
        key = self._key()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            got = pool.request(
                "POST", self._address(path), body=json.dumps(body), headers=headers, timeout=self.timeout_s
            )
        except urllib3.exceptions.HTTPError as error:
            raise BerrypickError(
                f"no answer from {self.url} ({type(error).__name__}); start its server or correct the address"
            ) from error
        # A server may repeat the key, in an error message for example. Nothing may store or show it.
        text = got.data.decode("utf-8", "replace")
        text = text.replace(key, "***") if key and len(key) >= _SHORTEST_SECRET else text
        said = safe_text(" ".join(text.split())[:_SHOWN])
        if got.status in (401, 403):
            raise BerrypickError(
                f"{self.url} answered {got.status} ({said}); put a key of this server into the variable {KEY}"
            )
        if got.status in _BUSY:
            raise BerrypickError(
                f"{self.url} still answered {got.status} after {self.retries} repetitions ({said}); try again later, "
                "or make fewer requests at a time"
            )
        try:
            return Reply(got.status, parse_json(text), said)
        except ValueError:
            return Reply(got.status, None, said)

    def choice(self, reply: Reply, path: str, what: str) -> dict[str, Any]:
        """The first choice of a reply.

        Raises:
            BerrypickError: the reply has none.
        """
        try:
            choice = reply.data["choices"][0]
        except (KeyError, IndexError, TypeError):
            choice = None
        if not isinstance(choice, dict):
            raise BerrypickError(
                f"{self.url} answered {reply.status} without a {what} ({reply.said}); check the model's name and the "
                f"address, which {path} is appended to"
            )
        return choice

    def in_parallel(self, work: Callable[[_Row], _Out], rows: Sequence[_Row]) -> list[_Out]:
        """The results for all rows, in order; `workers` requests at a time. After an error no new request starts."""
        with ThreadPoolExecutor(self.workers) as workers:
            return list(workers.map(work, rows))

    def _address(self, path: str) -> str:
        return self.url.rstrip("/").removesuffix(path) + path

    def _key(self) -> str | None:
        names = [KEY]
        parts = urllib3.util.parse_url(self.url)
        if (parts.scheme, parts.host) == ("https", "api.openai.com"):  # no other server may see that key
            names.append("OPENAI_API_KEY")
        key = (self.key or next(filter(None, map(os.environ.get, names)), "")).strip()
        if not key.isascii() or not key.isprintable():
            raise BerrypickError(f"the key in {' or '.join(names)} is not plain text; copy it again")
        return key or None


class _Retry(urllib3.Retry):
    """Waits as long as a server's Retry-After header says, but no longer than two minutes."""

    def get_retry_after(self, response: Any) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _LONGEST_WAIT_S)


def address_and_model(name: str, example: str) -> tuple[str, str]:
    """Splits URL#MODEL.

    Args:
        name: what the user wrote.
        example: a correct name, for the error message.

    Raises:
        BerrypickError: a part is missing, or the address holds a secret, which run folders would store.
    """
    url, _, model = name.partition("#")
    try:
        parts = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parts = urllib3.util.Url()
    if parts.auth or parts.query:
        raise BerrypickError(
            "the address of a remote policy takes no user name, password or ?query, because run folders store it; "
            f"put the key into the variable {KEY}"
        )
    if parts.scheme not in ("http", "https") or not parts.host or not model:
        raise BerrypickError(f"a remote policy is URL#MODEL, got {name!r}; write for example {example}")
    return url, model


def ended_text(choice: Mapping[str, Any], text: str, stop: Sequence[str]) -> tuple[str, StoppedBy]:
    """The turn in a reply, as the same tokens would read in this process, and what ended it.

    Servers cut the stop string off, so it is put back: the one that the reply names (`stop_reason` of vLLM,
    `matched_stop` of SGLang), or that of the block opened last if the server names none. Nothing is put back where the
    token limit, a filter or an end token ended the reply. A server that names no stop string does not tell an end token
    from a stop string; there an open block counts as closed.
    """
    turn = cut_turn(
        text, stop
    )  # a server that knows no stop strings writes on, and some leave the stop string in place
    if any(tag in turn for tag in stop):
        return turn, "tag"
    reason = choice.get("finish_reason")
    if reason == "length":
        return text, "length"
    named = [choice[name] for name in _STOPPED_AT if name in choice]
    tag = next((tag for tag in stop if tag in named), None) if named else _opened_last(text, stop)
    return (text, "eos") if tag is None or reason not in (None, "stop") else (text + tag, "tag")


def _opened_last(text: str, stop: Sequence[str]) -> str | None:
    """The closing tag of the block that was opened last; None if no block of a closing tag is open."""
    opened = {tag: text.rfind(f"<{tag[2:]}") for tag in stop if tag.startswith("</")}
    last = max(opened, key=opened.__getitem__, default=None)
    return None if last is None or opened[last] < 0 else last


def usage_of(reply: Reply) -> Usage | None:
    """The numbers of tokens that a reply reports; None if it reports none."""
    usage = reply.data.get("usage") if isinstance(reply.data, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return None if prompt is None or completion is None else Usage(prompt, completion)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
