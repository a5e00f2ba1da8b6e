"""Addresses of requests, whose bytes may be anything."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["PlainQuery"]


class PlainQuery:
    """Writes bytes of a query beyond ASCII as %XX, because starlette fails on those that are no UTF-8."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        query = scope.get("query_string", b"")
        if not query.isascii():
            plain = b"".join(b"%%%02X" % byte if byte > 127 else bytes([byte]) for byte in query)
            scope = {**scope, "query_string": plain}
        await self._app(scope, receive, send)
