"""Control searchers: how accurate is a policy when retrieval returns nothing, random passages, or the evidence?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from .corpus import Passage, corpus_sha256
from .searcher import Hit

__all__ = ["EmptySearcher", "OracleSearcher", "RandomSearcher"]


class EmptySearcher:
    """`Searcher` that finds nothing."""

    index_id = "empty"

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """No hits."""
        return [[] for _ in queries]

    def close(self) -> None:
        """Nothing to release."""


class RandomSearcher:
    """`Searcher` that draws k passages by a hash of the query; a smaller k gives the first of the same passages."""

    def __init__(self, passages: Sequence[Passage], seed: int = 0) -> None:
        self.index_id = hashlib.sha256(f"random|{seed}|{corpus_sha256(passages)}".encode()).hexdigest()
        self._passages, self._seed = passages, seed

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """k distinct passages; the score is minus the rank. None for a blank query."""
        return [self._one(query, k) if query.strip() and k > 0 else [] for query in queries]

    def close(self) -> None:
        """Nothing to release."""

    def _one(self, query: str, k: int) -> list[Hit]:
        digest = hashlib.sha256(f"{self._seed}|{query}".encode(errors="surrogatepass")).digest()
        generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        rows: dict[int, None] = {}  # drawn one by one, so the first hits do not depend on k
        while len(rows) < min(k, len(self._passages)):
            rows[int(generator.integers(len(self._passages)))] = None
        picked = [self._passages[row] for row in rows]
        return [Hit(p.id, p.title, p.text, -float(rank)) for rank, p in enumerate(picked, 1)]


class OracleSearcher:
    """`Searcher` that returns fixed passages for each known query."""

    def __init__(self, answers: Mapping[str, Sequence[Passage]]) -> None:
        digest = hashlib.sha256(b"oracle")
        for query in sorted(answers):
            ids = sorted(passage.id for passage in answers[query])
            digest.update(repr((query, ids)).encode(errors="surrogatepass"))
        self.index_id = digest.hexdigest()
        self._answers = answers

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The first k passages of each known query, ordered by id; no hits for other queries."""
        return [
            [Hit(p.id, p.title, p.text, 1.0) for p in sorted(self._answers.get(q, ()), key=lambda p: p.id)[: max(k, 0)]]
            for q in queries
        ]

    def close(self) -> None:
        """Nothing to release."""
