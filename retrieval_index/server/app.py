"""The FastAPI application: routes, limits, and error replies that state the reason."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from ..searcher import Hit, Searcher
from .batcher import MicroBatcher, Overloaded
from .dialects import Retrieve, Search, retrieve_reply, search_reply
from .metrics import ServerMetrics
from .settings import ServerSettings

__all__ = ["Refused", "create_app"]

logger = logging.getLogger("berrypick.server")
Body = TypeVar("Body", Retrieve, Search)


class Refused(Exception):
    """A request that is answered with an error status and a reason."""

    def __init__(self, status: int, reason: str, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.retry_after_s = status, reason, retry_after_s

    def response(self) -> Response:
        """The reply; closes the connection if the body was not read to its end."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        if self.status in (408, 413):
            headers["Connection"] = "close"
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return _json_response({"detail": self.reason}, self.status, headers)


def create_app(
    load: Callable[[], Searcher],
    settings: ServerSettings,
    about: Mapping[str, Any] | None = None,
    on_failure: Callable[[BaseException], None] = lambda error: None,
) -> FastAPI:
    """Creates the application.

    Args:
        load: opens the searcher; called once in a thread, while /health replies "loading".
        settings: limits and token.
        about: additional fields of /health.
        on_failure: called with the exception that `load` raised.
    """
    service = _Service(load, settings, dict(about or {}), on_failure)
    app = FastAPI(title="berrypick retrieval", lifespan=service.lifespan, docs_url="/docs", redoc_url=None)
    app.add_api_route("/retrieve", service.retrieve, methods=["POST"], openapi_extra=_body_schema(Retrieve))
    app.add_api_route("/search", service.search, methods=["POST"], openapi_extra=_body_schema(Search))
    app.add_api_route("/health", service.health, methods=["GET"])
    app.add_api_route("/metrics", service.metrics_text, methods=["GET"])
    return app


class _Service:
    def __init__(
        self,
        load: Callable[[], Searcher],
        settings: ServerSettings,
        about: dict[str, Any],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._load, self._settings, self._about, self._on_failure = load, settings, about, on_failure
        self._batcher: MicroBatcher | None = None
        self._searcher: Searcher | None = None
        self._metrics = ServerMetrics(lambda: self._batcher.num_waiting if self._batcher else 0)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Loads the searcher in the background; at the end answers waiting queries and closes it."""
        loading = asyncio.create_task(self._open())
        yield
        await asyncio.gather(loading, return_exceptions=True)
        if self._batcher is not None:
            await self._batcher.close()
        if self._searcher is not None:
            self._searcher.close()

    async def _open(self) -> None:
        settings = self._settings
        try:
            self._searcher = await asyncio.to_thread(self._load)
        except Exception as error:
            self._on_failure(error)
            return
        self._batcher = MicroBatcher(
            self._searcher,
            max_batch=settings.max_batch,
            max_wait_s=settings.max_wait_s,
            max_pending=settings.max_pending,
            timeout_s=settings.search_timeout_s,
            on_batch=self._metrics.on_batch,
        )
        logger.info("ready", extra={"fields": {"index_id": self._searcher.index_id}})

    async def retrieve(self, request: Request) -> Response:
        """Search-R1's, verl's and SkyRL-Gym's request: {"queries": [...]} or {"query": "..."}."""

        async def answer() -> bytes:
            body = await self._read(request, Retrieve)
            return retrieve_reply(await self._hits(body), body.return_scores)

        return await self._answer(request, answer)

    async def search(self, request: Request) -> Response:
        """berrypick's request: {"queries": [...], "k": 3}."""

        async def answer() -> bytes:
            body = await self._read(request, Search)
            hits = await self._hits(body)
            assert self._searcher is not None
            return search_reply(hits, self._searcher.index_id)

        return await self._answer(request, answer)

    async def health(self) -> Response:
        """Replies 503 until the index is loaded."""
        if self._searcher is None or self._batcher is None:
            return _json_response({"status": "loading"}, 503, {"Retry-After": "1"})
        settings = self._settings
        limits = {
            "max_queries": settings.most_queries,
            "max_query_chars": settings.max_query_chars,
            "max_k": settings.max_k,
        }
        ready = {"status": "ready", "index_id": self._searcher.index_id, "limits": limits}
        return _json_response({**ready, **self._about})

    async def metrics_text(self, request: Request) -> Response:
        """Prometheus metrics."""
        if not self._admitted(request):
            return Refused(401, "send the server's token").response()
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def _answer(self, request: Request, answer: Callable[[], Awaitable[bytes]]) -> Response:
        began = time.monotonic()
        path = request.url.path
        try:
            if not self._admitted(request):
                raise Refused(401, "send the server's token as Authorization: Bearer TOKEN")
            response = Response(await answer(), media_type="application/json")
        except Refused as refused:
            response = refused.response()
            if refused.status in (401, 413):
                await self._discard_body(request)
            logger.info("refused", extra={"fields": {"path": path, "status": refused.status, "reason": refused.reason}})
        except Overloaded as error:
            response = Refused(503, str(error), retry_after_s=1).response()
        except Exception as error:
            logger.exception("search failed", extra={"fields": {"path": path, "error": type(error).__name__}})
            response = Refused(503, "the search failed; see the server's log", retry_after_s=1).response()
        self._metrics.requests.labels(path, str(response.status_code)).inc()
        self._metrics.seconds.labels(path).observe(time.monotonic() - began)
        return response

    def _admitted(self, request: Request) -> bool:
        token = self._settings.token
        if token is None:
            return True
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            sent = request.query_params.get("token", "")  # for clients that can only be configured with an address
        return hmac.compare_digest(sent.strip().encode(), token.encode())

    async def _read(self, request: Request, model: type[Body]) -> Body:
        settings = self._settings
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > settings.max_body_bytes:
            raise Refused(413, f"the body may have at most {settings.max_body_bytes} bytes")
        try:
            body = await asyncio.wait_for(self._body(request), settings.body_timeout_s)
        except TimeoutError:
            raise Refused(408, f"the body took longer than {settings.body_timeout_s:g} s") from None
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise Refused(422, _reasons(error)) from None

    async def _body(self, request: Request) -> bytes:
        parts = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > self._settings.max_body_bytes:
                raise Refused(413, f"the body may have at most {self._settings.max_body_bytes} bytes")
            parts.append(part)
        return b"".join(parts)

    async def _discard_body(self, request: Request) -> None:
        """Reads the rest of a refused body, up to a limit.

        Closing a connection with unread data resets it, and the client could lose the reply that states the reason.
        """
        left = 4 * self._settings.max_body_bytes
        with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: the body was read to its end
            async with asyncio.timeout(self._settings.body_timeout_s):
                async for part in request.stream():
                    left -= len(part)
                    if left < 0:
                        return

    async def _hits(self, body: Retrieve | Search) -> list[list[Hit]]:
        settings = self._settings
        k = settings.default_k if body.k is None else body.k
        if k > settings.max_k:
            raise Refused(422, f"at most {settings.max_k} hits per query")
        if len(body.texts) > settings.most_queries:
            raise Refused(413, f"at most {settings.most_queries} queries per request")
        if any(len(text) > settings.max_query_chars for text in body.texts):
            raise Refused(413, f"a query may have at most {settings.max_query_chars} characters")
        if self._batcher is None:
            raise Refused(503, "the index is loading", retry_after_s=1)
        return await self._batcher.search(body.texts, k) if body.texts else []


def _reasons(error: ValidationError) -> str:
    """Field and reason of each validation error, without the input, which may be anything."""
    parts = []
    for detail in error.errors(include_input=False, include_url=False, include_context=False)[:3]:
        where = ".".join(str(step) for step in detail["loc"])
        parts.append(f"{where}: {detail['msg']}" if where else detail["msg"])
    return "; ".join(parts)


def _json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, dict(headers or {}), media_type="application/json")


def _body_schema(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}},
    }
