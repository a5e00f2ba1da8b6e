"""MCP over streamable HTTP, inside the server's own limits of access, size, time and connections.

There are no sessions: each POST is answered by itself, with JSON. So a client that goes away leaves nothing behind, a
restart of the server ends no conversation, and any number of servers can share the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import ClientDisconnect
from starlette.types import Message

from .access import LOCAL
from .refusals import Refused
from .settings import ServerSettings

__all__ = ["McpEndpoint", "check_origin", "unless_gone"]


class McpEndpoint:
    """Answers the bodies of POST requests."""

    def __init__(self, server: Server[Any], settings: ServerSettings) -> None:
        self._manager = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=settings.max_body_bytes
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """The time in which requests can be answered; enter it once."""
        return self._manager.run()

    async def reply(self, request: Request, body: bytes) -> Response:
        """The answer to a request whose body was read. If it is cancelled, so is the call of the tool."""
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Message] = []

        async def receive() -> Message:
            if not waiting:
                await asyncio.get_running_loop().create_future()  # who hung up is noticed elsewhere
            return waiting.pop()

        async def send(message: Message) -> None:
            sent.append(message)

        await self._manager.handle_request(request.scope, receive, send)
        response = Response(b"".join(part.get("body", b"") for part in sent[1:]), sent[0]["status"])
        kept = [(name, value) for name, value in sent[0].get("headers", ()) if name.lower() != b"content-length"]
        response.raw_headers = [*kept, (b"content-length", str(len(response.body)).encode())]
        return response


def check_origin(request: Request, settings: ServerSettings) -> None:
    """Raises `Refused` for a web page that is not of this machine, as MCP asks of servers. A token decides alone."""
    origin = request.headers.get("origin")
    if settings.token is not None or origin is None:
        return
    try:
        name = (urlsplit(origin).hostname or "").lower()
    except ValueError:
        name = ""
    if name not in LOCAL and name != settings.host.lower():
        raise Refused(403, "pages of other sites may not ask; start the server with BERRYPICK_TOKEN to admit them")


async def unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """The result of `work`. If the client hangs up first, cancels the work and raises `ClientDisconnect`.

    The body must have been read: then the next message is the end of the connection.
    """
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        working.cancel()
