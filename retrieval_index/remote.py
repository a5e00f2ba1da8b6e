"""Search over HTTP: a berrypick server, or any server with Search-R1's /retrieve."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import socket
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import urllib3

from .errors import BerrypickError, SearchUnavailableError
from .json_text import parse_json
from .remote_replies import best_hits, native_hits, search_r1_hits
from .searcher import Hit, clean_query

__all__ = ["RemoteSearcher"]

logger = logging.getLogger(__name__)
_AGAIN = frozenset({429, 500, 502, 503, 504})
_CHUNK = 256  # queries of one request
_MAX_CHARS = 8192  # longest query, for servers that do not state a limit


class RemoteSearcher:
    """`Searcher` over HTTP with a pool of connections, time-outs and retries.

    Requests to a busy or restarting server are repeated until `patience_s` has passed. The pause is the server's
    Retry-After or grows exponentially, with jitter. If the server cannot be reached at the start, only
    `start_patience_s` are spent. Thread-safe.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        patience_s: float = 120.0,
        start_patience_s: float = 5.0,
        pool_size: int = 8,
        expected_corpus_sha256: str | None = None,
    ) -> None:
        """Connects and reads the server's index id and limits.

        Args:
            url: of a berrypick server, or a Search-R1-style address that ends with /retrieve.
            token: the server's token; by default BERRYPICK_TOKEN.
            timeout_s: time limit of one request.
            patience_s: how long requests to a busy or unreachable server are repeated.
            start_patience_s: the same for an unreachable server at the start. A server that loads is waited for.
            pool_size: number of open connections.
            expected_corpus_sha256: raise if a berrypick server indexes another corpus.

        Raises:
            SearchUnavailableError: the server did not answer in time.
            BerrypickError: it is not a retrieval server, needs another token, or indexes another corpus.
        """
        base = url.rstrip("/")
        self._search_r1 = base.endswith("/retrieve")
        self._base = base.removesuffix("/retrieve")
        try:
            self._address = urllib3.util.parse_url(self._base)
        except urllib3.exceptions.HTTPError as error:
            raise BerrypickError(f"{url} is not an address; use one such as http://127.0.0.1:8000") from error
        self._token = token or os.environ.get("BERRYPICK_TOKEN")
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._pool = urllib3.PoolManager(maxsize=pool_size, block=True, retries=False)
        self._jitter = random.Random()  # a separate generator, so that seeded code is not affected
        start_s = min(start_patience_s, patience_s)
        if self._search_r1:  # such servers have no health page
            self._knock(start_s)
        health = {} if self._search_r1 else self._call("GET", "/health", None, start_s=start_s)
        digest = health.get("corpus_sha256")
        if expected_corpus_sha256 is not None and digest not in (None, expected_corpus_sha256):
            raise BerrypickError(f"the server at {self._base} indexes another corpus; serve the index of this corpus")
        self._max_queries = min(_CHUNK, self._limit(health, "max_queries", _CHUNK))
        self._max_chars = self._limit(health, "max_query_chars", _MAX_CHARS)
        self.index_id = str(health.get("index_id") or hashlib.sha256(f"remote|{base}".encode()).hexdigest())

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id). Queries beyond the server's limit are truncated."""
        asked = [query for query in dict.fromkeys(queries) if query.strip()] if k > 0 else []
        found: dict[str, list[Hit]] = {}
        for at in range(0, len(asked), self._max_queries):
            part = asked[at : at + self._max_queries]
            found.update(zip(part, self._retrieve([clean_query(query)[: self._max_chars] for query in part], k)))
        return [list(found.get(query, ())) for query in queries]

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()

    def _limit(self, health: dict[str, Any], name: str, otherwise: int) -> int:
        """A limit that a server states, at least 1; raises `BerrypickError` if it is none."""
        limits = health.get("limits") or {}
        stated = limits.get(name, otherwise) if isinstance(limits, dict) else None
        if isinstance(stated, bool) or not isinstance(stated, int) or stated < 1:
            self._not_a_server()
        return stated

    def _retrieve(self, queries: list[str], k: int) -> list[list[Hit]]:
        if self._search_r1:
            reply = self._call("POST", "/retrieve", {"queries": queries, "topk": k, "return_scores": True})
            rows, read = reply.get("result"), search_r1_hits
        else:
            reply = self._call("POST", "/search", {"queries": queries, "k": k})
            rows, read = reply.get("hits"), native_hits
        try:
            hits = [read(ranking) for ranking in rows or ()]
        except (KeyError, TypeError, ValueError, AttributeError):
            hits = []
        if len(hits) != len(queries):
            self._not_a_server()
        return [best_hits(ranking, k) for ranking in hits]

    def _knock(self, start_s: float) -> None:
        """Opens and closes a connection; raises if nothing listens at the address."""
        host = (self._address.host or "").strip("[]")
        port = self._address.port or (443 if self._address.scheme == "https" else 80)
        deadline = time.monotonic() + start_s
        while True:
            try:
                socket.create_connection((host, port), timeout=5.0).close()
                return
            except OSError as error:
                if time.monotonic() + 0.5 > deadline:
                    raise self._unavailable(start_s, error.strerror or str(error)) from error
            time.sleep(0.5)

    def _unavailable(self, waited_s: float, reason: str) -> SearchUnavailableError:
        return SearchUnavailableError(
            f"no answer from the retrieval server at {self._base} for {waited_s:g} s ({reason}); "
            "start it with `berrypick serve`, or correct its address"
        )

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None, *, start_s: float | None = None
    ) -> dict[str, Any]:
        began, attempt = time.monotonic(), 0
        while True:
            reason, pause_s, patience_s = "", 0.0, self._patience_s
            try:
                reply = self._send(method, path, body)
                if reply.status == 200:
                    return self._object(reply.data)
                if reply.status not in _AGAIN:
                    self._refused(reply.status, reply.data)
                reason = f"status {reply.status}"
                pause_s = _seconds(reply.headers.get("Retry-After"))
            except urllib3.exceptions.HTTPError as error:
                reason = _short(error)
                patience_s = self._patience_s if start_s is None else start_s
            pause_s = max(pause_s, min(5.0, 0.1 * 2.0**attempt)) * self._jitter.uniform(0.75, 1.25)
            if time.monotonic() + pause_s > began + patience_s:
                raise self._unavailable(patience_s, reason)
            if attempt == 0:
                logger.warning(
                    "retrieval server at %s: %s; trying again for %g s at most", self._base, reason, patience_s
                )
            time.sleep(pause_s)
            attempt += 1

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> urllib3.BaseHTTPResponse:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        payload = None if body is None else json.dumps(body).encode()
        timeout = urllib3.Timeout(connect=5.0, read=self._timeout_s)
        return self._pool.request(method, self._base + path, body=payload, headers=headers, timeout=timeout)

    def _object(self, data: bytes) -> dict[str, Any]:
        try:
            value = parse_json(data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self._not_a_server()
        return value

    def _refused(self, status: int, data: bytes) -> NoReturn:
        if status in (401, 403):
            raise BerrypickError(f"the server at {self._base} needs a token; set BERRYPICK_TOKEN to the server's token")
        if status in (404, 405):
            self._not_a_server()
        raise BerrypickError(f"the server at {self._base} refused the request ({status}): {_detail(data)}")

    def _not_a_server(self) -> NoReturn:
        raise BerrypickError(
            f"{self._base} does not answer like a retrieval server; use the address of `berrypick serve`, or one "
            "that ends with /retrieve for a Search-R1-style server"
        )


def _seconds(retry_after: str | None) -> float:
    try:
        return min(60.0, max(0.0, float(retry_after or 0)))
    except ValueError:  # a date
        return 1.0


def _short(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rsplit(": ", 1)[-1][:120] or type(error).__name__


def _detail(data: bytes) -> str:
    try:
        detail = parse_json(data)["detail"]
    except (ValueError, TypeError, KeyError):
        detail = data[:200].decode(errors="replace")
    return str(detail)[:300]
