"""The open connections of a server: how many there may be, and which give way to new ones."""

from __future__ import annotations

import asyncio
import errno
import heapq
import itertools
import logging
import os
import socket
import time
from contextlib import suppress
from typing import Any, Protocol

__all__ = ["BUSY", "Connection", "Connections", "Listener", "most_connections"]

logger = logging.getLogger("berrypick.server")

MOST = 2_048
BUSY = (3, 0)  # the standing of a connection whose request is being answered; it never gives way
_NO_HANDLES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NOTE_EVERY_S = 60.0
_CLOSED_AT_ONCE = 64


class Connection(Protocol):
    """An open connection."""

    transport: asyncio.Transport

    def standing(self) -> tuple[int, int]:
        """(how much its client has done so far, its age as a counter); the smallest gives way first."""


def most_connections(wanted: int | None) -> int:
    """How many connections the process has handles for, and at most `wanted`, by default 2048.

    A quarter of the handles, and at least 64, is left to the index, its files and the log.
    """
    most = MOST if wanted is None else wanted
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return most
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, limit - max(64, limit // 4)))


class Connections:
    """All open connections, at most `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open: set[Connection] = set()
        self._ages = itertools.count()
        self._accepted = 0  # sockets whose connection is not among `_open` yet
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)
        self._noted_at = -_NOTE_EVERY_S

    def __len__(self) -> int:
        return len(self._open) + self._accepted

    def next_age(self) -> int:
        """A larger number at each call."""
        return next(self._ages)

    def accepted(self) -> None:
        """A socket was accepted; `joined` follows."""
        self._accepted += 1

    def joined(self, connection: Connection) -> None:
        """The connection of an accepted socket is open."""
        self._accepted = max(0, self._accepted - 1)
        self._open.add(connection)

    def left(self, connection: Connection) -> None:
        """A connection is closed."""
        self._open.discard(connection)

    def make_room(self) -> bool:
        """Closes the connections that give way first; False if every client waits for an answer.

        Those that never sent a request go several at a time, so that a flood costs little. The handles are free in
        the next turn of the event loop. Accepted sockets join within two turns, and can give way then.
        """
        self._note()
        closing = 0
        standings = ((connection.standing(), id(connection), connection) for connection in self._open)
        for standing, _, connection in heapq.nsmallest(max(1, self.most // 16), standings):
            if standing >= BUSY or (closing and standing[0] > 0):
                break
            connection.transport.abort()
            closing += 1
        return closing > 0 or self._accepted > 0

    def refuse(self, listener: Listener) -> None:
        """Accepts a connection with the spare handle and closes it, when there are no others.

        A waiting connection that nobody accepts would wake the event loop again and again.
        """
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
        try:
            refused, _ = socket.socket.accept(listener)
            with refused, suppress(OSError):
                refused.setblocking(False)
                refused.send(_FULL)
        finally:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY)

    def close(self) -> None:
        """Gives the spare handle back."""
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _note(self) -> None:
        now = time.monotonic()
        if now - self._noted_at >= _NOTE_EVERY_S:
            self._noted_at = now
            logger.warning(
                "too many connections; those without a request give way", extra={"fields": {"open": len(self)}}
            )


class Listener(socket.socket):
    """A listening socket that accepts no connection beyond the limit.

    asyncio accepts whatever comes, and only then tells anyone. So the limit is here: what `accept` raises makes it
    come back in the next turn of its loop.
    """

    def __init__(self, bound: socket.socket, connections: Connections) -> None:
        """Takes over a bound socket."""
        super().__init__(bound.family, bound.type, bound.proto, fileno=bound.detach())
        self._connections = connections

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`.

        Raises:
            BlockingIOError: no connection waits, or there is no room for it yet.
        """
        connections = self._connections
        if len(connections) >= connections.most:
            if not connections.make_room():
                connections.refuse(self)
            raise BlockingIOError
        try:
            accepted = self._living()
        except OSError as error:
            if error.errno not in _NO_HANDLES:
                raise
            connections.make_room()
            connections.refuse(self)
            raise BlockingIOError from None
        connections.accepted()
        return accepted

    def _living(self) -> tuple[socket.socket, Any]:
        """Accepts a connection that its client has not closed again without a word.

        A flood of such connections would cost ten times as much with a transport and a protocol for each. It comes
        back to the event loop every few connections.
        """
        for _ in range(_CLOSED_AT_ONCE):
            accepted, address = super().accept()
            if not _is_closed(accepted):
                return accepted, address
            accepted.close()
        raise BlockingIOError


def _is_closed(accepted: socket.socket) -> bool:
    """Whether the client closed a connection before it sent anything."""
    try:
        accepted.setblocking(False)
        return not accepted.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:  # reset
        return True
