"""Exact dense search with FAISS: inner product over unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .corpus import Passage
from .encoder import Encoder
from .errors import MissingExtraError
from .searcher import Hit, ranked

__all__ = ["FaissSearcher"]


class FaissSearcher:
    """`Searcher` over a Flat index. Blank queries give no hits; ties stand by id over the complete tie set."""

    def __init__(self, index: Any, passages: Sequence[Passage], index_id: str, encoder: Encoder) -> None:
        self.index_id = index_id
        self._index, self._passages, self._encoder = index, passages, encoder

    @classmethod
    def from_passages(cls, passages: Sequence[Passage], encoder: Encoder, *, index_id: str) -> FaissSearcher:
        """Encodes and indexes passages."""
        faiss = _faiss()
        index = faiss.IndexFlatIP(encoder.dim)
        index.add(np.ascontiguousarray(encoder.encode([p.contents for p in passages], is_query=False)))
        return cls(index, passages, index_id, encoder)

    @classmethod
    def load(cls, path: Path, passages: Sequence[Passage], index_id: str, encoder: Encoder) -> FaissSearcher:
        """Opens what `save` wrote."""
        return cls(_faiss().read_index(str(path)), passages, index_id, encoder)

    def save(self, path: Path) -> None:
        """Writes the vectors."""
        _faiss().write_index(self._index, str(path))

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id)."""
        asked = [query for query in dict.fromkeys(queries) if query.strip()]
        found: dict[str, list[Hit]] = {}
        vectors = np.ascontiguousarray(self._encoder.encode(asked, is_query=True)) if asked else None
        fetch = min(k + 8, len(self._passages))
        while asked and k > 0:
            scores, rows = self._index.search(vectors, fetch)
            open_rows = [
                i for i in range(len(asked)) if fetch < len(self._passages) and scores[i, k - 1] == scores[i, -1]
            ]
            for i, query in enumerate(asked):
                if i not in open_rows:
                    found[query] = self._hits(scores[i], rows[i], k)
            asked = [asked[i] for i in open_rows]
            vectors = vectors[open_rows] if vectors is not None else None
            fetch = min(fetch * 4, len(self._passages))
        return [list(found.get(query, [])) for query in queries]

    def close(self) -> None:
        """Drops the vectors."""
        self._index = None

    def _hits(self, scores: Any, rows: Any, k: int) -> list[Hit]:
        by_id = {self._passages[row].id: self._passages[row] for row in rows.tolist() if row >= 0}
        pairs = [(float(score), self._passages[row].id) for score, row in zip(scores, rows.tolist()) if row >= 0]
        return [Hit(key, by_id[key].title, by_id[key].text, score) for score, key in ranked(pairs, k)]


def _faiss() -> Any:
    if find_spec("faiss") is None:
        raise MissingExtraError("dense search", "cpu", "faiss is not installed; [gpu] brings the GPU build")
    import faiss

    return faiss
