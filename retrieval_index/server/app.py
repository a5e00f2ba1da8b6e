"""The FastAPI application: routes, limits, and error replies that state the reason."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from ..searcher import Searcher
from .access import check_access
from .addresses import PlainQuery
from .batcher import HungUp, MicroBatcher, Overloaded
from .bodies import Turns, discard_body, read_body, read_bytes
from .dialects import Retrieve, Search, retrieve_reply, search_reply
from .direct_app import DirectApp
from .fair_queue import Hits
from .limits import check_queries
from .metrics import ServerMetrics
from .refusals import Refused, json_response
from .schema import body_schema, refusals
from .settings import ServerSettings

if TYPE_CHECKING:
    from .mcp_tools import Find

__all__ = ["create_app"]

logger = logging.getLogger("berrypick.server")
_UNREAD = frozenset({401, 403, 413, 415, 421})  # refusals that may come before the body was read
_HITS_AT_ONCE = 512  # of a reply that is written at once
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
    app = DirectApp(title="berrypick retrieval", lifespan=service.lifespan, openapi_url=None)
    app.add_middleware(PlainQuery)
    service.openapi = app.openapi
    for path, answer, model in (("/retrieve", service.retrieve, Retrieve), ("/search", service.search, Search)):
        app.add_api_route(path, answer, methods=["POST"], openapi_extra=body_schema(model), responses=refusals())
        app.direct["POST", path] = answer
    app.add_api_route("/health", service.health, methods=["GET"], responses=refusals(421, 503))
    app.add_api_route("/metrics", service.metrics_text, methods=["GET"], responses=refusals(401, 421))
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
        self._turns = Turns()
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

        async def answer() -> Response:
            body = await read_body(request, Retrieve, self._settings, self._turns)
            hits = await self._hits(request, body)
            return _reply(retrieve_reply(hits, body.return_scores), hits)

        return await self._answer(request, answer)

    async def search(self, request: Request) -> Response:
        """berrypick's request: {"queries": [...], "k": 3}."""

        async def answer() -> Response:
            body = await read_body(request, Search, self._settings, self._turns)
            hits = await self._hits(request, body)
            assert self._searcher is not None
            return _reply(search_reply(hits, self._searcher.index_id), hits)

        return await self._answer(request, answer)

    async def mcp(self, request: Request) -> Response:
        """The Model Context Protocol over streamable HTTP: the tools search and fetch."""

        async def answer() -> Response:
            from .mcp_http import check_origin, unless_gone

            assert self._mcp is not None
            check_origin(request, self._settings)
            body = await read_bytes(request, self._settings, self._turns)
            return await unless_gone(request, self._mcp.reply(request, body))

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

    async def _answer(self, request: Request, answer: Callable[[], Awaitable[Response]]) -> Response:
        began = time.monotonic()
        path = str(request.scope["path"])
        try:
            check_access(request, self._settings)
            response = await answer()
        except Refused as refused:
            response = refused.response()
            if refused.status in _UNREAD:
                await discard_body(request, self._settings)
            logger.info("refused", extra={"fields": {"path": path, "status": refused.status, "reason": refused.reason}})
        except Overloaded as error:
            response = Refused(503, str(error), retry_after_s=1).response()
        except (ClientDisconnect, HungUp):
            response = Response(status_code=_HUNG_UP)
        except Exception as error:
            logger.exception("search failed", extra={"fields": {"path": path, "error": type(error).__name__}})
            response = Refused(503, "the search failed; see the server's log", retry_after_s=1).response()
        self._metrics.requests.labels(path, str(response.status_code)).inc()
        self._metrics.seconds.labels(path).observe(time.monotonic() - began)
        return response

    async def _hits(self, request: Request, body: Retrieve | Search) -> Hits:
        return await self._ask(body.texts, body.k, request.receive)

    async def _ask(
        self, queries: Sequence[str], k: int | None, gone: Callable[[], Awaitable[object]] | None = None
    ) -> Hits:
        hits = check_queries(queries, k, self._settings)
        if self._batcher is None:
            raise Refused(503, "the index is loading", retry_after_s=1)
        return await self._batcher.search(queries, hits, gone) if queries else []


def _reply(parts: Iterator[bytes], hits: Hits) -> Response:
    """A reply. A large one is written while it is sent, as fast as the client reads, and between those of others."""
    if sum(map(len, hits)) <= _HITS_AT_ONCE:
        return Response(b"".join(parts), media_type="application/json")
    return StreamingResponse(_in_turns(parts), media_type="application/json")


async def _in_turns(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0)
