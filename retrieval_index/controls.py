"""Searchers that know nothing or everything: what is accuracy worth when retrieval says nothing, or all?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from .corpus import Passage
from .searcher import Hit

__all__ = ["EmptySearcher", "OracleSearcher", "RandomSearcher"]


class EmptySearcher:
    """Finds nothing."""

    index_id = "empty"

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """No hits."""
        return [[] for _ in queries]

    def close(self) -> None:
        """Nothing to release."""


class RandomSearcher:
    """k passages drawn by a hash of the query, the same for the same query."""

    def __init__(self, passages: Sequence[Passage], seed: int = 0) -> None:
        self.index_id = f"random-{seed}"
        self._passages, self._seed = passages, seed

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """k distinct passages of equal score, by id; none for a blank query."""
        return [self._one(query, k) if query.strip() else [] for query in queries]

    def close(self) -> None:
        """Nothing to release."""

    def _one(self, query: str, k: int) -> list[Hit]:
        digest = hashlib.sha256(f"{self._seed}|{query}".encode()).digest()
        generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        rows = generator.choice(len(self._passages), size=min(k, len(self._passages)), replace=False)
        picked = sorted((self._passages[int(row)] for row in rows), key=lambda p: p.id)
        return [Hit(p.id, p.title, p.text, 0.0) for p in picked]


class OracleSearcher:
    """Gives each known query its passages."""

    index_id = "oracle"

    def __init__(self, answers: Mapping[str, Sequence[Passage]]) -> None:
        self._answers = answers

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The first k passages of each query, by id; none for others."""
        return [
            [Hit(p.id, p.title, p.text, 1.0) for p in sorted(self._answers.get(query, ()), key=lambda p: p.id)[:k]]
            for query in queries
        ]

    def close(self) -> None:
        """Nothing to release."""
