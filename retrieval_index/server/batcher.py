"""Micro-batches: queries that arrive while a search runs share the next search."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..searcher import Hit, Searcher

__all__ = ["MicroBatcher", "Overloaded"]

Hits = list[list[Hit]]
_ENOUGH = 16  # with this many queries, waiting for more costs more than it saves


class Overloaded(Exception):
    """Too many queries are waiting, or a query waited too long."""


@dataclass(slots=True)
class _Pending:
    queries: Sequence[str]
    k: int
    done: asyncio.Future[Hits]
    arrived: float


class MicroBatcher:
    """Searches in one thread; the event loop stays free.

    A batch takes whole requests in order of arrival, up to `max_batch` queries, and asks for the largest k among
    them; each gets its own k. That is correct because the hits of a smaller k are the first hits of a larger one.
    """

    def __init__(
        self,
        searcher: Searcher,
        *,
        max_batch: int,
        max_wait_s: float,
        max_pending: int,
        timeout_s: float,
        on_batch: Callable[[int, float], None] = lambda queries, seconds: None,
    ) -> None:
        self._searcher = searcher
        self._max_batch, self._max_wait_s, self._max_pending = max_batch, max_wait_s, max_pending
        self._timeout_s, self._on_batch = timeout_s, on_batch
        self._waiting: deque[_Pending] = deque()
        self._num_waiting = 0
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def num_waiting(self) -> int:
        """Number of queries that wait for a search."""
        return self._num_waiting

    async def search(self, queries: Sequence[str], k: int) -> Hits:
        """As `Searcher.search`.

        Raises:
            Overloaded: at once if too many queries wait already, or after the time-out.
        """
        if self._num_waiting + len(queries) > self._max_pending:
            raise Overloaded("too many queries are waiting")
        loop = asyncio.get_running_loop()
        pending = _Pending(queries, k, loop.create_future(), time.monotonic())
        self._waiting.append(pending)
        self._num_waiting += len(queries)
        self._wake.set()
        try:
            return await asyncio.wait_for(pending.done, self._timeout_s)
        except TimeoutError:
            raise Overloaded("the search took too long") from None

    async def close(self) -> None:
        """Answers all waiting queries, then stops."""
        while self._waiting:
            await asyncio.sleep(0.01)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=True)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            left_s = self._waiting[0].arrived + self._max_wait_s - time.monotonic()
            if left_s > 0 and self._num_waiting < _ENOUGH:
                await asyncio.sleep(left_s)
            batch = self._next_batch()
            if not batch:
                continue
            try:
                await self._search(batch)
            except Exception as error:
                if len(batch) == 1:
                    _fail(batch[0], error)
                    continue
                for pending in batch:  # one failing request must not fail the others
                    try:
                        await self._search([pending])
                    except Exception as own:
                        _fail(pending, own)

    async def _search(self, batch: Sequence[_Pending]) -> None:
        queries = [query for pending in batch for query in pending.queries]
        began = time.monotonic()
        found = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._searcher.search, queries, max(pending.k for pending in batch)
        )
        self._on_batch(len(queries), time.monotonic() - began)
        at = 0
        for pending in batch:
            hits = found[at : at + len(pending.queries)]
            at += len(pending.queries)
            if not pending.done.done():
                pending.done.set_result([ranking[: pending.k] for ranking in hits])

    def _next_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        now = time.monotonic()
        while self._waiting and (not batch or size + len(self._waiting[0].queries) <= self._max_batch):
            pending = self._waiting.popleft()
            self._num_waiting -= len(pending.queries)
            if pending.done.done() or now - pending.arrived >= self._timeout_s:  # its client was answered 503
                continue
            batch.append(pending)
            size += len(pending.queries)
        if not self._waiting:
            self._wake.clear()
        return batch


def _fail(pending: _Pending, error: Exception) -> None:
    if not pending.done.done():
        pending.done.set_exception(error)
