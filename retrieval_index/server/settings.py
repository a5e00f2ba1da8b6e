"""What a server is told: where it listens, who may ask, and how much."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from ..errors import BerrypickError

__all__ = ["ServerSettings", "is_loopback"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Limits are per request unless said.

    Attributes:
        default_k: hits where a request names no number.
        max_k: most hits a query may ask for.
        max_queries: most queries of a request.
        max_query_chars: longest query.
        max_body_bytes: longest body.
        body_timeout_s: to send the body.
        search_timeout_s: from arrival to answer; later answers are 503.
        max_batch: most queries of one search.
        max_wait_s: how long a search waits for more queries when the searcher is idle.
        max_pending: queries that wait, all requests together; more are 503.
        token: what `Authorization: Bearer` (or ?token=) must carry; None lets everybody in.
    """

    default_k: int = 3
    max_k: int = 100
    max_queries: int = 512
    max_query_chars: int = 8_192
    max_body_bytes: int = 4 << 20
    body_timeout_s: float = 10.0
    search_timeout_s: float = 30.0
    max_batch: int = 512
    max_wait_s: float = 0.001
    max_pending: int = 4_096
    token: str | None = None

    @property
    def most_queries(self) -> int:
        """Queries that a request may have: one with more than may wait would be told to come again for ever."""
        return min(self.max_queries, self.max_pending)

    def check_host(self, host: str) -> None:
        """Refuses an address that others can reach without a token."""
        if not self.token and not is_loopback(host):
            raise BerrypickError(
                f"{host} can be reached from other machines: set BERRYPICK_TOKEN to a secret, or serve on 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
