"""Micro-batches: queries that arrive while a search runs share the next search."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from ..searcher import Searcher
from .fair_queue import FairQueue, Hits, Piece, Waiting
from .settings import ServerSettings

__all__ = ["HungUp", "MicroBatcher", "Overloaded"]

_ENOUGH = 16  # with this many queries, waiting for more costs more than it saves
_FEW_HITS = 16  # up to here, another k costs little
_RECENT_S = 0.25  # small requests come if the last one came within this time, though none may wait at the moment
_PAUSE, _LONGEST_PAUSE_S = 9.0, 0.1  # after a search of large ones, in times of its duration
_WATCH_AFTER_S = 0.05  # watching a client costs as much as a small search, which is mostly over by then


class Overloaded(Exception):
    """Too many queries are waiting, or a query waited too long."""


class HungUp(Exception):
    """The client does not wait for the hits any more."""


class MicroBatcher:
    """Searches in one thread; the event loop stays free.

    A search takes pieces of requests as `FairQueue` shares them out. Those of similar k are searched together, for the
    largest k among them, and each request gets its own k. That is correct because the hits of a smaller k are the first
    hits of a larger one. While small requests come, large ones get a tenth of the time: between two searches of small
    ones nothing waits, but the processor is not idle.
    """

    def __init__(
        self,
        searcher: Searcher,
        *,
        max_batch: int,
        max_cost: int,
        max_wait_s: float,
        max_pending: int,
        timeout_s: float,
        on_batch: Callable[[int, float], None] = lambda queries, seconds: None,
    ) -> None:
        self._searcher = searcher
        self._max_wait_s, self._max_pending = max_wait_s, max_pending
        self._timeout_s, self._on_batch = timeout_s, on_batch
        self._queue = FairQueue(max_batch, max_cost)
        self._searching = False
        self._large_from = -math.inf
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._task = asyncio.get_running_loop().create_task(self._run())

    @classmethod
    def of(
        cls,
        searcher: Searcher,
        settings: ServerSettings,
        on_batch: Callable[[int, float], None] = lambda queries, seconds: None,
    ) -> MicroBatcher:
        """A batcher with a server's limits."""
        return cls(
            searcher,
            max_batch=settings.max_batch,
            max_cost=settings.max_cost,
            max_wait_s=settings.max_wait_s,
            max_pending=settings.max_pending,
            timeout_s=settings.search_timeout_s,
            on_batch=on_batch,
        )

    @property
    def num_waiting(self) -> int:
        """Number of queries that wait for a search."""
        return self._queue.num_queries

    async def search(self, queries: Sequence[str], k: int, gone: Callable[[], Awaitable[object]] | None = None) -> Hits:
        """As `Searcher.search`, for at least one query. If it is cancelled, what still waits is not searched.

        Args:
            queries: of one request.
            k: hits per query.
            gone: returns when the client has hung up.

        Raises:
            Overloaded: at once if too many queries wait already, or after the time-out.
            HungUp: `gone` returned first.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Hits] = loop.create_future()
        request = Waiting(queries, k, time.monotonic(), done)
        if not self._queue.add(request, self._max_pending):
            raise Overloaded("too many queries are waiting")
        self._wake.set()
        late = loop.call_later(self._timeout_s, _end, done, Overloaded("the search took too long"))
        watch = None if gone is None else _Watch(loop, gone, done, 0.0 if request.is_large else _WATCH_AFTER_S)
        try:
            return await done
        finally:
            late.cancel()
            if watch is not None:
                watch.stop()
            self._queue.discard(request)

    async def close(self) -> None:
        """Answers all waiting queries, then stops."""
        while self._queue or self._searching:
            await asyncio.sleep(0.01)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=True)

    async def _run(self) -> None:
        while True:
            self._searching = False
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
            left_s = self._queue.oldest + self._max_wait_s - time.monotonic() if self._queue else 0.0
            if left_s > 0 and self.num_waiting < _ENOUGH:
                await asyncio.sleep(left_s)
            pause_s = self._large_pause_s()
            batch = self._queue.take(large=pause_s <= 0)
            self._searching = bool(batch)
            if not batch:  # its clients hung up, or only large ones wait, whose turn it is not
                self._wake.clear()
                if self._queue:
                    await self._woken(pause_s)
                continue
            for group in _like(batch):
                await self._answer(group)

    def _large_pause_s(self) -> float:
        """How long large requests wait for their turn: while small ones come, they get a tenth of the time."""
        now = time.monotonic()
        return self._large_from - now if now - self._queue.small_at < _RECENT_S else 0.0

    async def _woken(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _answer(self, pieces: Sequence[Piece]) -> None:
        try:
            await self._search(pieces)
        except Exception as error:
            if len(pieces) == 1:
                self._fail(pieces[0].request, error)
                return
            for piece in pieces:  # one failing request must not fail the others
                if not piece.request.done.done():
                    await self._answer([piece])

    async def _search(self, batch: Sequence[Piece]) -> None:
        queries = [query for piece in batch for query in piece.queries]
        began = time.monotonic()
        found = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._searcher.search, queries, max(piece.request.k for piece in batch)
        )
        ended = time.monotonic()
        self._on_batch(len(queries), ended - began)
        if any(piece.request.is_large for piece in batch):
            self._large_from = ended + min(_LONGEST_PAUSE_S, _PAUSE * (ended - began))
        at = 0
        for piece in batch:
            request = piece.request
            request.hits += (ranking[: request.k] for ranking in found[at : at + len(piece.queries)])
            at += len(piece.queries)
            if len(request.hits) == len(request.queries) and not request.done.done():
                request.done.set_result(request.hits)

    def _fail(self, request: Waiting, error: Exception) -> None:
        self._queue.discard(request)
        _end(request.done, error)


def _like(batch: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces in groups of similar k, smallest first: one request for 100 hits must not make it 100 for all."""
    groups: list[list[Piece]] = []
    for piece in sorted(batch, key=lambda piece: piece.request.k):
        k = piece.request.k
        if groups and k <= max(_FEW_HITS, 2 * groups[-1][0].request.k):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


class _Watch:
    """Ends a search with `HungUp` when its client hangs up, if it is not over in a moment."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        gone: Callable[[], Awaitable[object]],
        done: asyncio.Future[Hits],
        after_s: float,
    ) -> None:
        self._gone, self._done = gone, done
        self._task: asyncio.Future[object] | None = None
        self._timer = loop.call_later(after_s, self._begin)

    def stop(self) -> None:
        """Watches no longer."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._gone())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[object]) -> None:
        if not task.cancelled():
            task.exception()  # counts as hanging up, too
            _end(self._done, HungUp())


def _end(done: asyncio.Future[Hits], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
