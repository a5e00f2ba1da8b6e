"""Runs the application on uvicorn, with limits on connections that uvicorn does not have."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn

from ..errors import BerrypickError, system_reason
from .connections import Connections, Listener, most_connections
from .protocol import bounded_protocol
from .settings import ServerSettings

__all__ = ["Server", "listen"]

logger = logging.getLogger("berrypick.server")
_BACKLOG = 4_096  # connections that wait to be accepted, if the system allows so many
_SILENT_S = 5


class Server(uvicorn.Server):
    """uvicorn's server for an application.

    `run(sockets)` serves on bound sockets until `should_exit` is set or the process gets SIGTERM or SIGINT.
    """

    def __init__(self, app: Any, settings: ServerSettings) -> None:
        self._connections = Connections(most_connections(settings.max_connections))
        config = uvicorn.Config(
            app,
            loop="asyncio",  # uvloop does not ask `Listener` for its connections
            http=bounded_protocol(self._connections, settings.head_timeout_s, settings.stall_timeout_s),
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(settings.search_timeout_s) + 1,
            backlog=_BACKLOG,
        )
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves on bound sockets, which it takes over."""
        listeners: list[socket.socket] = [Listener(bound, self._connections) for bound in sockets or ()]
        try:
            super().run(listeners)
        finally:
            for listener in listeners:
                listener.close()
            self._connections.close()


def listen(host: str, port: int) -> list[socket.socket]:
    """Listens at all addresses of a host, and logs them.

    Raises:
        BerrypickError: the host has no address here, or the port is taken.
    """
    places: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            if places and port == 0:  # the same free port at every address
                address = (address[0], places[0].getsockname()[1], *address[2:])
            places.append(_bound(family, address))
    except (OSError, UnicodeError) as error:
        for place in places:
            place.close()
        reason = system_reason(error)
        raise BerrypickError(f"cannot listen on {host}:{port} ({reason}); choose another --port or --host") from error
    for url in _urls(places):
        logger.info(f"running on {url}")
    return places


def _bound(family: int, address: Any) -> socket.socket:
    # asyncio sends small replies at once (TCP_NODELAY) only on sockets that name their protocol
    place = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        place.bind(address)
        if hasattr(socket, "TCP_DEFER_ACCEPT"):  # the system keeps connections that send nothing, at first
            place.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _SILENT_S)
        place.listen(_BACKLOG)
    except OSError:
        place.close()
        raise
    return place


def _urls(places: Sequence[socket.socket]) -> list[str]:
    out = []
    for place in places:
        host, port = place.getsockname()[:2]
        out.append(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    return out
