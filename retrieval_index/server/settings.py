"""Settings of the server: limits, time-outs and access."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from ..errors import BerrypickError

__all__ = ["ServerSettings", "is_loopback"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of a retrieval server.

    Attributes:
        default_k: hits per query if the request does not say.
        max_k: largest number of hits per query.
        max_queries: largest number of queries per request.
        max_query_chars: longest query, in characters.
        max_body_bytes: largest request body.
        body_timeout_s: time limit for receiving the body.
        search_timeout_s: time limit from arrival to reply; then the reply is 503.
        max_batch: largest number of queries in one search; larger requests are searched in pieces.
        max_cost: largest cost of one search: characters of its queries, and 16 for each hit.
        max_wait_s: how long an idle searcher waits for more queries.
        max_pending: waiting queries of all requests together; further ones get 503.
        head_timeout_s: time limit for receiving the head of a request, on a new connection or a kept one.
        stall_timeout_s: a client that reads nothing of its reply for so long is cut off.
        max_connections: open connections; None for as many as the process has handles for, and at most 2048.
        host: where the server listens. Without a token, requests must name this machine or it as their Host.
        token: required in `Authorization: Bearer` or ?token=; None admits programs of this machine.
    """

    default_k: int = 3
    max_k: int = 100
    max_queries: int = 512
    max_query_chars: int = 8_192
    max_body_bytes: int = 4 << 20
    body_timeout_s: float = 10.0
    search_timeout_s: float = 30.0
    max_batch: int = 64
    max_cost: int = 16_384
    max_wait_s: float = 0.001
    max_pending: int = 4_096
    head_timeout_s: float = 10.0
    stall_timeout_s: float = 30.0
    max_connections: int | None = None
    host: str = "127.0.0.1"
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is not None and not self.token.strip():
            raise BerrypickError("BERRYPICK_TOKEN is set but blank: set it to a secret, or unset it")

    @property
    def most_queries(self) -> int:
        """Largest number of queries per request. More than `max_pending` could never be served."""
        return min(self.max_queries, self.max_pending)

    def check_host(self, host: str) -> None:
        """Raises if other machines can reach the address and there is no token."""
        if self.token is None and not is_loopback(host):
            raise BerrypickError(
                f"{host} can be reached from other machines: set BERRYPICK_TOKEN to a secret, or serve on 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
