"""Dense search: encodes queries, searches an index of vectors, and looks up the passages of the rows it returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .corpus import Passage
from .encoder import Encoder
from .errors import BerrypickError
from .searcher import Hit

__all__ = ["DenseSearcher", "VectorIndex"]


class VectorIndex(Protocol):
    """An index of unit vectors, for example in FAISS or Milvus."""

    @property
    def d(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def ntotal(self) -> int:
        """Number of vectors."""
        ...

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Inner products float32 and rows int64, [queries, k], best first; row -1 if there are no more."""
        ...


class DenseSearcher:
    """`Searcher` over an index of passage vectors. Blank queries have no hits; complete tie sets are ordered by id."""

    def __init__(
        self,
        index: VectorIndex,
        passages: Sequence[Passage],
        index_id: str,
        encoder: Encoder,
        id_rank: NDArray[np.int64] | None = None,
    ) -> None:
        """Combines an index of vectors with its passages and encoder.

        Args:
            index: of the passage vectors.
            passages: row -> passage.
            index_id: recorded with every rollout.
            encoder: encodes the queries; must be the one that encoded the passages.
            id_rank: int64 [passages], position of each row in id order; None if the rows are in id order.
        """
        if index.d != encoder.dim:
            raise BerrypickError(
                f"the index has vectors of dimension {index.d}, encoder {encoder.name!r} makes {encoder.dim}; "
                "use the encoder that built the index"
            )
        if index.ntotal != len(passages):
            raise BerrypickError(
                f"the index has {index.ntotal} vectors, the corpus {len(passages)} passages; "
                "use the corpus that the index was built from"
            )
        self.index_id = index_id
        self._index: VectorIndex | None = index
        self._passages, self._encoder, self._id_rank = passages, encoder, id_rank

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id)."""
        asked = [query for query in dict.fromkeys(queries) if query.strip()]
        index = self._index
        if index is None:
            raise BerrypickError("this index was closed; open it again")
        if not asked or k < 1:
            return [[] for _ in queries]
        found = dict(zip(asked, self._complete(index, self._encoder.encode(asked, is_query=True), k)))
        return [list(found.get(query, ())) for query in queries]

    def close(self) -> None:
        """Releases the vectors."""
        self._index = None

    def _complete(self, index: VectorIndex, vectors: NDArray[np.float32], k: int) -> list[list[Hit]]:
        """Fetches more rows until the tie set at rank k is complete.

        Args:
            index: of the passage vectors.
            vectors: float32 [queries, dim].
            k: hits per query.
        """
        total = len(self._passages)
        out: list[list[Hit]] = [[] for _ in vectors]
        pending = np.arange(len(vectors))
        fetch = min(k + 8, total)
        while len(pending):
            scores, rows = index.search(np.ascontiguousarray(vectors[pending]), fetch)
            if fetch < total and k < fetch:
                cut = scores[:, k - 1] == scores[:, -1]
                cut &= rows[:, -1] >= 0
            else:
                cut = np.zeros(len(pending), bool)
            for at in np.flatnonzero(~cut):
                out[pending[at]] = self._hits(scores[at], rows[at], k)
            pending, fetch = pending[cut], min(fetch * 4, total)
        return out

    def _hits(self, scores: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> list[Hit]:
        found = rows >= 0  # -1 pads rows for which the index found fewer
        scores, rows = scores[found], rows[found]
        order = rows if self._id_rank is None else self._id_rank[rows]
        hits = []
        for at in np.lexsort((order, -scores))[:k]:
            passage = self._passages[int(rows[at])]
            hits.append(Hit(passage.id, passage.title, passage.text, float(scores[at])))
        return hits
