"""A cache of search results: rollouts of one group often repeat a query."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from .searcher import Hit, Searcher

__all__ = ["CachedSearcher"]


class CachedSearcher:
    """`Searcher` with a least-recently-used cache of hits.

    A cached result answers every smaller k. Thread-safe; two threads that miss the same query at once both search it.
    """

    def __init__(self, searcher: Searcher, capacity: int = 10_000) -> None:
        self._searcher, self.capacity = searcher, capacity
        self._cache: OrderedDict[str, tuple[int, tuple[Hit, ...]]] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._asked = 0

    @property
    def index_id(self) -> str:
        """The index id of the wrapped searcher."""
        return self._searcher.index_id

    @property
    def hit_rate(self) -> float:
        """Share of queries so far that the cache answered; 0 before the first."""
        with self._lock:
            return self._hits / self._asked if self._asked else 0.0

    def __len__(self) -> int:
        return len(self._cache)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The hits of each query; all queries that are not cached go to the wrapped searcher in one call."""
        with self._lock:
            found = {query: hits for query in queries if (hits := self._look_up(query, k)) is not None}
            missing = list(dict.fromkeys(query for query in queries if query not in found))
            self._asked += len(queries)
            self._hits += len(queries) - len(missing)
        if missing:
            fresh = self._searcher.search(missing, k)
            with self._lock:
                for query, ranking in zip(missing, fresh):
                    found[query] = self._store(query, k, tuple(ranking))
        return [list(found[query]) for query in queries]

    def close(self) -> None:
        """Closes the wrapped searcher and empties the cache."""
        self._searcher.close()
        with self._lock:
            self._cache.clear()

    def _look_up(self, query: str, k: int) -> tuple[Hit, ...] | None:
        cached = self._cache.get(query)
        if cached is None or k > cached[0] <= len(cached[1]):  # fewer hits than k: the searcher has no more
            return None
        self._cache.move_to_end(query)
        return cached[1][: max(k, 0)]

    def _store(self, query: str, k: int, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        self._cache[query] = (k, hits)
        self._cache.move_to_end(query)
        while len(self._cache) > self.capacity:
            self._cache.popitem(last=False)
        return hits
