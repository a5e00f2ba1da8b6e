"""Request bodies: read within limits of size and time, and checked against a model."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from .refusals import Refused
from .settings import ServerSettings

__all__ = ["Turns", "discard_body", "read_body"]

_LARGE = 1 << 18  # bytes of a body whose check takes as long as a small search
_MOST_WAITING = 32
_LONGEST_PAUSE_S = 0.1

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body], settings: ServerSettings, turns: Turns | None = None) -> Body:
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
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > settings.max_body_bytes:
        raise Refused(413, f"the body may have at most {settings.max_body_bytes} bytes")
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            body = await _bytes(request, settings.max_body_bytes)
    except TimeoutError:
        raise Refused(408, f"the body took longer than {settings.body_timeout_s:g} s") from None
    if turns is None or len(body) <= _LARGE:
        return _checked(model, body)
    async with turns:
        if await request.is_disconnected():
            raise ClientDisconnect
        return _checked(model, body)


class Turns:
    """Large bodies are checked one by one, and others are served for nine times as long in between.

    Python cannot be interrupted while it checks a body. Half a dozen in a row would hold up everyone.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._began = 0.0

    async def __aenter__(self) -> None:
        """Waits for a turn.

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
        self._began = time.monotonic()

    async def __aexit__(self, *error: object) -> None:
        """The next one follows after a pause."""
        pause_s = min(_LONGEST_PAUSE_S, 9 * (time.monotonic() - self._began))
        asyncio.get_running_loop().call_later(pause_s, self._lock.release)


def _checked(model: type[Body], body: bytes) -> Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Refused(422, _reasons(error)) from None


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


async def _bytes(request: Request, most: int) -> bytes:
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, f"the body may have at most {most} bytes")
        parts.append(part)
    return b"".join(parts)


def _reasons(error: ValidationError) -> str:
    """Field and reason of each validation error, without the input, which may be anything."""
    parts = []
    for detail in error.errors(include_input=False, include_url=False, include_context=False)[:3]:
        where = ".".join(str(step) for step in detail["loc"])
        parts.append(f"{where}: {detail['msg']}" if where else detail["msg"])
    return "; ".join(parts)
