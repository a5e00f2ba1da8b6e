"""Request bodies: read within limits of size and time, and checked against a model."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from .refusals import Refused
from .settings import ServerSettings

__all__ = ["discard_body", "read_body", "read_bytes", "reasons_of"]

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body], settings: ServerSettings) -> Body:
    """Reads and checks a body.

    Raises:
        Refused: it is too large, too slow, or not what the model asks for.
        ClientDisconnect: the client hung up.
    """
    body = await read_bytes(request, settings)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Refused(422, reasons_of(error)) from None


async def read_bytes(request: Request, settings: ServerSettings) -> bytes:
    """Reads a body; raises as `read_body` does."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 18 or int(length) > settings.max_body_bytes:
        raise Refused(413, f"the body may have at most {settings.max_body_bytes} bytes")
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            return await _bytes(request, settings.max_body_bytes)
    except TimeoutError:
        raise Refused(408, f"the body took longer than {settings.body_timeout_s:g} s") from None


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


def reasons_of(error: ValidationError) -> str:
    """Field and reason of each validation error, without the input, which may be anything."""
    parts = []
    for detail in error.errors(include_input=False, include_url=False, include_context=False)[:3]:
        where = ".".join(str(step)[:60] for step in detail["loc"])
        parts.append(f"{where}: {detail['msg']}" if where else detail["msg"])
    return "; ".join(parts)
