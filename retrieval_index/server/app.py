"""The FastAPI application: routes, limits, and error replies that state the reason."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from ..searcher import Hit, Searcher
from .access import check_access
from .batcher import MicroBatcher, Overloaded
from .bodies import discard_body, read_body, read_bytes
from .dialects import Retrieve, Search, retrieve_reply, search_reply
from .limits import check_queries
from .metrics import ServerMetrics
from .refusals import Refused, json_response
from .settings import ServerSettings

if TYPE_CHECKING:
    from .mcp_tools import Find

__all__ = ["create_app"]

logger = logging.getLogger("berrypick.server")
T = TypeVar("T")
_UNREAD = frozenset({401, 403, 413, 415, 421})  # refusals that may come before the body was read
_PARTS_AT_ONCE = 8  # rankings of a reply that are written before others are served
_HUNG_UP = 499  # as nginx counts them; nobody reads this reply


def create_app(
    load: Callable[[], Searcher],
    settings: ServerSettings,
    about: Mapping[str, Any] | None = None,
    on_failure: Callable[[BaseException], None] = lambda error: None,
    find: Find | None = None,
) -> FastAPI:
    """Creates the application.

    Args:
        load: opens the searcher; called once in a thread, while /health replies "loading".
        settings: limits and token.
        about: additional fields of /health.
        on_failure: called with the exception that `load` raised.
        find: looks a passage up by its id. If it is given, /mcp offers search and fetch as MCP tools, which needs the
            "mcp" extra.
    """
    service = _Service(load, settings, dict(about or {}), on_failure, find)
    app = FastAPI(title="berrypick retrieval", lifespan=service.lifespan, openapi_url=None)
    service.openapi = app.openapi
    app.add_api_route("/retrieve", service.retrieve, methods=["POST"], openapi_extra=_body_schema(Retrieve))
    app.add_api_route("/search", service.search, methods=["POST"], openapi_extra=_body_schema(Search))
    app.add_api_route("/health", service.health, methods=["GET"])
    app.add_api_route("/metrics", service.metrics_text, methods=["GET"])
    app.add_api_route("/docs", service.docs, methods=["GET"], include_in_schema=False)
    app.add_api_route("/openapi.json", service.schema, methods=["GET"], include_in_schema=False)
    if find is not None:
        app.add_api_route("/mcp", service.mcp, methods=["POST"])
    return app


class _Service:
    def __init__(
        self,
        load: Callable[[], Searcher],
        settings: ServerSettings,
        about: dict[str, Any],
        on_failure: Callable[[BaseException], None],
        find: Find | None,
    ) -> None:
        self.openapi: Callable[[], dict[str, Any]] = dict
        self._load, self._settings, self._about, self._on_failure = load, settings, about, on_failure
        self._batcher: MicroBatcher | None = None
        self._searcher: Searcher | None = None
        self._metrics = ServerMetrics(lambda: self._batcher.num_waiting if self._batcher else 0)
        self._mcp = None
        if find is not None:
            from .mcp_http import McpEndpoint
            from .mcp_tools import mcp_server

            self._mcp = McpEndpoint(mcp_server(self._ask, find, settings), settings)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Loads the searcher in the background; at the end answers waiting queries and closes it."""
        loading = asyncio.create_task(self._open())
        async with AsyncExitStack() as stack:
            if self._mcp is not None:
                await stack.enter_async_context(self._mcp.running())
            yield
        await asyncio.gather(loading, return_exceptions=True)
        if self._batcher is not None:
            await self._batcher.close()
        if self._searcher is not None:
            self._searcher.close()

    async def _open(self) -> None:
        try:
            self._searcher = await asyncio.to_thread(self._load)
        except Exception as error:
            self._on_failure(error)
            return
        self._batcher = MicroBatcher.of(self._searcher, self._settings, self._metrics.on_batch)
        logger.info("ready", extra={"fields": {"index_id": self._searcher.index_id}})

    async def retrieve(self, request: Request) -> Response:
        """Search-R1's, verl's and SkyRL-Gym's request: {"queries": [...]} or {"query": "..."}."""

        async def answer() -> bytes:
            body = await read_body(request, Retrieve, self._settings)
            return await _joined(retrieve_reply(await self._hits(request, body), body.return_scores))

        return await self._answer(request, answer)

    async def search(self, request: Request) -> Response:
        """berrypick's request: {"queries": [...], "k": 3}."""

        async def answer() -> bytes:
            body = await read_body(request, Search, self._settings)
            hits = await self._hits(request, body)
            assert self._searcher is not None
            return await _joined(search_reply(hits, self._searcher.index_id))

        return await self._answer(request, answer)

    async def mcp(self, request: Request) -> Response:
        """The Model Context Protocol over streamable HTTP: the tools search and fetch."""

        async def answer() -> Response:
            from .mcp_http import check_origin

            assert self._mcp is not None
            check_origin(request, self._settings)
            body = await read_bytes(request, self._settings)
            return await _unless_gone(request, self._mcp.reply(request, body))

        return await self._answer(request, answer)

    async def health(self, request: Request) -> Response:
        """Replies 503 until the index is loaded. It needs no token."""
        settings = self._settings
        if settings.token is None and (refusal := self._refusal(request)):
            return refusal
        if self._searcher is None or self._batcher is None:
            return json_response({"status": "loading"}, 503, {"Retry-After": "1"})
        limits = {
            "max_queries": settings.most_queries,
            "max_query_chars": settings.max_query_chars,
            "max_k": settings.max_k,
        }
        ready = {"status": "ready", "index_id": self._searcher.index_id, "limits": limits}
        return json_response({**ready, **self._about})

    async def metrics_text(self, request: Request) -> Response:
        """Prometheus metrics."""
        text = Response(self._metrics.text(), media_type="text/plain; version=0.0.4")
        return self._refusal(request) or text

    async def schema(self, request: Request) -> Response:
        """The OpenAPI schema."""
        return self._refusal(request) or json_response(self.openapi())

    async def docs(self, request: Request) -> Response:
        """The OpenAPI page. It reads the schema with the token that was in its own address."""
        token = request.query_params.get("token")
        schema = "/openapi.json" + (f"?token={quote(token, safe='')}" if token else "")
        return self._refusal(request) or get_swagger_ui_html(openapi_url=schema, title="berrypick retrieval")

    def _refusal(self, request: Request) -> Response | None:
        try:
            check_access(request, self._settings)
        except Refused as refused:
            return refused.response()
        return None

    async def _answer(self, request: Request, answer: Callable[[], Awaitable[bytes | Response]]) -> Response:
        began = time.monotonic()
        path = request.url.path
        try:
            check_access(request, self._settings)
            answered = await answer()
            response = Response(answered, media_type="application/json") if isinstance(answered, bytes) else answered
        except Refused as refused:
            response = refused.response()
            if refused.status in _UNREAD:
                await discard_body(request, self._settings)
            logger.info("refused", extra={"fields": {"path": path, "status": refused.status, "reason": refused.reason}})
        except Overloaded as error:
            response = Refused(503, str(error), retry_after_s=1).response()
        except ClientDisconnect:
            response = Response(status_code=_HUNG_UP)
        except Exception as error:
            logger.exception("search failed", extra={"fields": {"path": path, "error": type(error).__name__}})
            response = Refused(503, "the search failed; see the server's log", retry_after_s=1).response()
        self._metrics.requests.labels(path, str(response.status_code)).inc()
        self._metrics.seconds.labels(path).observe(time.monotonic() - began)
        return response

    async def _hits(self, request: Request, body: Retrieve | Search) -> list[list[Hit]]:
        return await _unless_gone(request, self._ask(body.texts, body.k))

    async def _ask(self, queries: Sequence[str], k: int | None) -> list[list[Hit]]:
        hits = check_queries(queries, k, self._settings)
        if self._batcher is None:
            raise Refused(503, "the index is loading", retry_after_s=1)
        return await self._batcher.search(queries, hits) if queries else []


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
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


async def _joined(parts: Iterator[bytes]) -> bytes:
    """A reply; others are served between its parts."""
    out = []
    for part in parts:
        out.append(part)
        if len(out) % _PARTS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return b"".join(out)


def _body_schema(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}},
    }
