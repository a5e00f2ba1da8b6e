"""A searcher that remembers: rollouts of one group ask the same questions again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from .searcher import Hit, Searcher

__all__ = ["CachedSearcher"]


class CachedSearcher:
    """`Searcher` that keeps the hits of the last queries, least recently used out first.

    A kept answer serves any smaller k. Thread-safe; two threads that miss the same query at once both search it.
    """

    def __init__(self, searcher: Searcher, capacity: int = 10_000) -> None:
        self._searcher, self.capacity = searcher, capacity
        self._kept: OrderedDict[str, tuple[int, tuple[Hit, ...]]] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._asked = 0

    @property
    def index_id(self) -> str:
        """That of the searcher behind."""
        return self._searcher.index_id

    @property
    def hit_rate(self) -> float:
        """Share of the queries so far that needed no search; 0 before the first."""
        with self._lock:
            return self._hits / self._asked if self._asked else 0.0

    def __len__(self) -> int:
        return len(self._kept)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """As the searcher behind; one call to it for all queries that are not kept."""
        with self._lock:
            found = {query: hits for query in queries if (hits := self._look_up(query, k)) is not None}
            missing = list(dict.fromkeys(query for query in queries if query not in found))
            self._asked += len(queries)
            self._hits += len(queries) - len(missing)
        if missing:
            fresh = self._searcher.search(missing, k)
            with self._lock:
                for query, ranking in zip(missing, fresh):
                    found[query] = self._keep(query, k, tuple(ranking))
        return [list(found[query]) for query in queries]

    def close(self) -> None:
        """Closes the searcher behind and forgets."""
        self._searcher.close()
        with self._lock:
            self._kept.clear()

    def _look_up(self, query: str, k: int) -> tuple[Hit, ...] | None:
        kept = self._kept.get(query)
        if kept is None or k > kept[0] <= len(kept[1]):  # fewer hits than asked for: there are no more
            return None
        self._kept.move_to_end(query)
        return kept[1][: max(k, 0)]

    def _keep(self, query: str, k: int, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        self._kept[query] = (k, hits)
        self._kept.move_to_end(query)
        while len(self._kept) > self.capacity:
            self._kept.popitem(last=False)
        return hits
