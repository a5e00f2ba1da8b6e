"""`berrypick serve`."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from ..bounds import at_least
from ..errors import BerrypickError, MissingExtraError
from ..store import index_folder, open_searcher, read_manifest
from .settings import ServerSettings

if TYPE_CHECKING:
    from ..searcher import Searcher

__all__ = ["Serve"]

_COLLECT_AFTER = (10_000, 10, 50)  # rarer than usual: the hits of large requests are many objects and no garbage


@dataclass(frozen=True)
class Serve:
    """Serve an index over HTTP: POST /retrieve as Search-R1, verl and SkyRL-Gym clients call it."""

    folder: tyro.conf.Positional[Path]
    """index folder"""
    host: str = "127.0.0.1"
    """address to listen on; one that other machines can reach needs BERRYPICK_TOKEN"""
    port: int = 8000
    """port to listen on; 0 takes a free one"""
    topk: int = 3
    """hits per query if the request does not say"""
    max_topk: int = 100
    """largest number of hits per query"""
    max_queries: int = 512
    """largest number of queries per request"""
    max_pending: int = 4096
    """queries that may wait; further ones get 503 with Retry-After"""
    max_wait_ms: float = 1.0
    """how long an idle server waits for more queries before it searches"""
    timeout_s: float = 30.0
    """time limit from arrival to reply"""
    head_timeout_s: float = 10.0
    """time limit for the head of a request, after which its connection is closed"""
    max_connections: int | None = None
    """open connections; by default as many as the process has handles for, at most 2048"""
    cache: int = 0
    """number of queries whose hits are cached"""
    log_level: str = "info"
    """debug, info or warning"""
    mcp: Literal["off", "http", "stdio"] = "off"
    """search and fetch as MCP tools. http: also at /mcp, by streamable HTTP; stdio: only on standard input and output,
    for a client that starts this command"""

    def run(self) -> int:
        """Runs the server until it is stopped."""
        self._check_installed()
        settings = ServerSettings(
            default_k=self.topk,
            max_k=self.max_topk,
            max_queries=self.max_queries,
            max_pending=self.max_pending,
            max_wait_s=self.max_wait_ms / 1000,
            search_timeout_s=self.timeout_s,
            head_timeout_s=self.head_timeout_s,
            max_connections=self.max_connections,
            host=self.host,
            token=os.environ.get("BERRYPICK_TOKEN"),
        )
        self._check(settings)
        return _serve_stdio(self, settings) if self.mcp == "stdio" else _serve(self, settings)

    def _check_installed(self) -> None:
        for module in ("fastapi", "uvicorn", "prometheus_client"):
            if find_spec(module) is None:
                raise MissingExtraError("berrypick serve", "serve", f"{module} is not installed")
        if self.mcp == "off":
            return
        if find_spec("mcp") is None:
            raise MissingExtraError(f"berrypick serve --mcp {self.mcp}", "mcp", "mcp is not installed")
        if int(version("mcp").partition(".")[0]) < 2:
            raise MissingExtraError(f"berrypick serve --mcp {self.mcp}", "mcp", f"mcp {version('mcp')} is too old")

    def _check(self, settings: ServerSettings) -> None:
        if self.mcp != "stdio":
            settings.check_host(self.host)
        at_least(1, {"--topk": self.topk, "--max-queries": self.max_queries, "--max-pending": self.max_pending})
        at_least(0, {"--max-wait-ms": self.max_wait_ms, "--timeout-s": self.timeout_s, "--cache": self.cache})
        if self.max_connections is not None:
            at_least(1, {"--max-connections": self.max_connections})
        at_least(0, {"--head-timeout-s": self.head_timeout_s})
        for flag, seconds, usual in (
            ("--timeout-s", self.timeout_s, 30),
            ("--head-timeout-s", self.head_timeout_s, 10),
        ):
            if not seconds:
                raise BerrypickError(f"{flag} must be above 0; use the default of {usual}")
        if self.topk > self.max_topk:
            raise BerrypickError(f"--topk {self.topk} is above --max-topk {self.max_topk}; add --max-topk {self.topk}")
        if not 0 <= self.port <= 65535:
            raise BerrypickError(f"--port must be between 0 and 65535, got {self.port}; 0 takes a free port")
        if self.log_level not in ("debug", "info", "warning"):
            raise BerrypickError(f"unknown --log-level {self.log_level!r}; use debug, info or warning")
        read_manifest(index_folder(self.folder))


def _serve(command: Serve, settings: ServerSettings) -> int:
    from ..passages_by_id import passages_by_id
    from .app import create_app
    from .logs import structured_logs
    from .running import Server, listen

    folder = index_folder(command.folder)
    manifest = read_manifest(folder)
    failures: list[BaseException] = []

    def stop(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    about = {
        "backend": manifest.backend,
        "num_passages": manifest.num_passages,
        "corpus_sha256": manifest.corpus_sha256,
    }
    structured_logs(command.log_level)
    find = passages_by_id(folder).find if command.mcp == "http" else None
    server = Server(create_app(lambda: _open(folder, command.cache), settings, about, stop, find), settings)
    server.run(listen(command.host, command.port))
    if failures:
        raise failures[0]
    return 0


def _serve_stdio(command: Serve, settings: ServerSettings) -> int:
    from ..passages_by_id import passages_by_id
    from .logs import structured_logs
    from .mcp_stdio import serve_stdio

    structured_logs(command.log_level)
    folder = index_folder(command.folder)
    find = passages_by_id(folder).find
    serve_stdio(_open(folder, command.cache), find, settings)
    return 0


def _open(folder: Path, cache: int) -> Searcher:
    from ..cached import CachedSearcher

    searcher = open_searcher(folder)
    gc.collect()
    gc.freeze()  # what was loaded stays; looking through it for garbage would stop the server for milliseconds
    gc.set_threshold(*_COLLECT_AFTER)
    return CachedSearcher(searcher, cache) if cache > 0 else searcher
