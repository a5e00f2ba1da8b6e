"""MCP over standard input and output: the client starts this process, and nobody else can reach it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

from mcp.server.stdio import stdio_server

from ..searcher import Hit, Searcher
from .batcher import MicroBatcher
from .limits import check_queries
from .mcp_tools import Find, mcp_server
from .settings import ServerSettings

__all__ = ["serve_stdio"]


def serve_stdio(searcher: Searcher, find: Find, settings: ServerSettings) -> None:
    """Serves until the client closes standard input, and closes the searcher.

    Standard output belongs to the protocol while this runs; what else is printed goes to standard error.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread that waits for a line cannot be cancelled
    try:
        asyncio.run(_serve(searcher, find, settings))
    finally:
        signal.signal(signal.SIGINT, before)
        searcher.close()


async def _serve(searcher: Searcher, find: Find, settings: ServerSettings) -> None:
    batcher = MicroBatcher.of(searcher, settings)

    async def ask(queries: Sequence[str], k: int | None) -> list[list[Hit]]:
        return await batcher.search(queries, check_queries(queries, k, settings))

    server = mcp_server(ask, find, settings)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
    await batcher.close()
