"""Request bodies: read within limits of size and time, and checked against a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from .refusals import Refused
from .settings import ServerSettings

__all__ = ["Turns", "discard_body", "read_body", "read_bytes", "reasons_of"]

_LARGE = 1 << 18  # bytes of a body whose check takes as long as a small search
_MOST_WAITING = 32
_BYTES_PER_S = 20e6  # of large bodies together
_LONGEST_TURN_S = 0.5
_MOMENT_S = 0.002  # in which the end of a connection is noticed, so that its body need not be checked

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body], settings: ServerSettings, turns: Turns) -> Body:
    """Reads and checks a body.

    Args:
        request: its body has not been read.
        model: what the body must be.
        settings: limits.
        turns: those of all large bodies of a server.

    Raises:
        Refused: it is too large, too slow, or not what the model asks for; or too many large ones wait.
        ClientDisconnect: the client hung up.
    """
    return _checked(model, await read_bytes(request, settings, turns))


async def read_bytes(request: Request, settings: ServerSettings, turns: Turns) -> bytes:
    """Reads a body; raises as `read_body` does."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 18 or int(length) > settings.max_body_bytes:
        raise Refused(413, f"the body may have at most {settings.max_body_bytes} bytes")
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            return await _bytes(request, settings.max_body_bytes, turns)
    except TimeoutError:
        raise Refused(408, f"the body took longer than {settings.body_timeout_s:g} s") from None


class Turns:
    """Large bodies are read one after another, at a limited rate together.

    The client of a body that waits for its turn waits too: the system takes no more from it. A body that comes slowly
    gives its turn up.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, size: Callable[[], int]) -> AsyncIterator[None]:
        """Waits for a turn and holds it; the next one follows after a pause.

        Args:
            size: bytes that were read, asked at the end.

        Raises:
            Refused: too many wait already.
        """
        if self._waiting >= _MOST_WAITING:
            raise Refused(503, "too many large requests are waiting", retry_after_s=1)
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        given_up = loop.call_later(_LONGEST_TURN_S, self._lock.release)
        try:
            yield
        finally:
            if given_up.when() > loop.time():
                given_up.cancel()
                loop.call_later(size() / _BYTES_PER_S, self._lock.release)


def _checked(model: type[Body], body: bytes) -> Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Refused(422, reasons_of(error)) from None


async def discard_body(request: Request, settings: ServerSettings) -> None:
    """Reads the rest of a refused body, up to a limit.

    Closing a connection with unread data resets it, and the client could lose the reply that states the reason.
    """
    left = 4 * settings.max_body_bytes
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: the body was read to its end
        async with asyncio.timeout(settings.body_timeout_s):
            async for part in request.stream():
                left -= len(part)
                if left < 0:
                    return


async def _bytes(request: Request, most: int, turns: Turns) -> bytes:
    parts: list[bytes] = []
    size = 0
    async with AsyncExitStack() as stack:
        async for part in request.stream():
            if size <= _LARGE < size + len(part):
                await stack.enter_async_context(turns.turn(lambda: sum(map(len, parts))))
            size += len(part)
            if size > most:
                raise Refused(413, f"the body may have at most {most} bytes")
            parts.append(part)
        if size > _LARGE:
            await asyncio.sleep(_MOMENT_S)
            if await request.is_disconnected():
                raise ClientDisconnect
    return b"".join(parts)


def reasons_of(error: ValidationError) -> str:
    """Field and reason of each validation error, without the input, which may be anything."""
    parts = []
    for detail in error.errors(include_input=False, include_url=False, include_context=False)[:3]:
        where = ".".join(str(step)[:60] for step in detail["loc"])
        parts.append(f"{where}: {detail['msg']}" if where else detail["msg"])
    return "; ".join(parts)
