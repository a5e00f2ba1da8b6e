"""uvicorn's protocol, with a time limit for the head of a request and for clients that do not read their reply.

uvicorn has neither, so a connection that never sends a whole request would stay open for ever. The class is mixed in
before uvicorn's own for h11 or httptools. It uses what both have in common: `cycle`, the request that came last, with
`more_body` and `response_complete`, and the methods it overrides.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, cast

from .connections import BUSY, Connections

__all__ = ["bounded_protocol"]

_PIECE, _FEW_PIECES = 256, 2  # bytes; clients send a head, a body, and little else in pieces

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Uvicorns
else:
    _Uvicorns = object


class _Bounded(_Uvicorns):
    bounds: tuple[Connections, float, float]  # set by `bounded_protocol`

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.bounds[0].next_age()
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._rest_timer: asyncio.TimerHandle | None = None
        self._pieces = 0  # small ones of the request that is coming
        self._await_head()
        self.bounds[0].joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._stall_timer, self._rest_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()  # uvicorn leaves this timer if the connection was reset
        self.bounds[0].left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        self._rest_if_dripping(len(data), before)
        if self.cycle is not before:
            self._since = self.bounds[0].next_age()
        if self._in_request:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reading(None)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading(None)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()  # closes it as soon as the client has read everything
        self._await_reading(None)

    def standing(self) -> tuple[int, int]:
        """0: never sent the head of a request. 1: its request is incomplete. 2: idle, or its reply is unread."""
        if self.cycle is None:
            return 0, self._since
        if self._in_request:
            return (1, self._since) if self.cycle.more_body else BUSY
        return (2 if self._head_timer is None else 1), self._since

    def _rest_if_dripping(self, size: int, before: object) -> None:
        """Reads a client that sends its request in many small pieces only now and then, each at another moment.

        A few hundred of them that send at the same time would otherwise hold up everyone.
        """
        if self.cycle is not before or size >= _PIECE or not (self.cycle is None or self.cycle.more_body):
            self._pieces = 0
            return
        self._pieces += 1
        if self._pieces > _FEW_PIECES and not self.transport.is_closing():
            self.transport.pause_reading()
            self._rest_timer = self.loop.call_later(random.uniform(0.1, 1.0), self._read_on)

    def _read_on(self) -> None:
        if not (self.flow.read_paused or self.transport.is_closing()):
            self.transport.resume_reading()

    @property
    def _in_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.bounds[1], self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._in_request or self.transport.is_closing():
            return
        self.transport.close()
        self._await_reading(None)

    def _await_reading(self, unread_before: int | None) -> None:
        """Cuts the client off if it has read nothing since the last call, and calls itself again while it reads."""
        unread = self.transport.get_write_buffer_size()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        if not unread:
            return
        if unread_before is not None and unread >= unread_before:
            self.transport.abort()
            return
        self._stall_timer = self.loop.call_later(self.bounds[2], self._await_reading, unread)


def bounded_protocol(connections: Connections, head_timeout_s: float, stall_timeout_s: float) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's `http` setting: on httptools where it is installed, else on h11."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    names: dict[str, Any] = {"bounds": (connections, head_timeout_s, stall_timeout_s)}
    return cast(type[asyncio.Protocol], type("BoundedProtocol", (_Bounded, AutoHTTPProtocol), names))
