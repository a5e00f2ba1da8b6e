"""Reciprocal-rank fusion of several searchers (Cormack, Clarke, Buettcher, SIGIR 2009)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .searcher import Hit, Searcher, ranked

__all__ = ["HybridSearcher"]


class HybridSearcher:
    """`Searcher` whose score is the sum over searchers of 1 / (constant + rank), rank from 1.

    Attributes:
        depth: hits requested from each searcher; lower ranks add nothing.
        constant: the larger, the more lower ranks count.
    """

    def __init__(
        self, searchers: Sequence[Searcher], *, depth: int = 100, constant: float = 60.0, index_id: str | None = None
    ) -> None:
        self._searchers = tuple(searchers)
        self.depth, self.constant = depth, constant
        key = "|".join(["rrf", str(depth), str(constant), *(searcher.index_id for searcher in searchers)])
        self.index_id = index_id or hashlib.sha256(key.encode()).hexdigest()

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id), among the first `depth` hits of every searcher."""
        if k < 1:
            return [[] for _ in queries]
        rankings = [searcher.search(queries, self.depth) for searcher in self._searchers]
        return [self._fuse(lists, k) for lists in zip(*rankings)]

    def close(self) -> None:
        """Closes the searchers."""
        for searcher in self._searchers:
            searcher.close()

    def _fuse(self, lists: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
        scores: dict[str, float] = {}
        hits: dict[str, Hit] = {}
        for ranking in lists:
            for rank, hit in enumerate(ranking, 1):
                scores[hit.id] = scores.get(hit.id, 0.0) + 1.0 / (self.constant + rank)
                hits.setdefault(hit.id, hit)
        best = ranked(((score, key) for key, score in scores.items()), k)
        return [Hit(key, hits[key].title, hits[key].text, score) for score, key in best]
