"""BM25 without a JVM: the scoring of Lucene on a bm25s score matrix, for core installs, workers and small worlds."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .analyzer import terms
from .arrays import load_array
from .corpus import Passage, corpus_sha256
from .json_text import parse_json
from .manifest import IndexFolderError
from .searcher import Hit

__all__ = ["Bm25sSearcher"]

_ARRAYS = {"data": np.float32, "rows": np.int32, "starts": np.int64}
_VOCABULARY = "vocabulary.json"


class Bm25sSearcher:
    """`Searcher` over a sparse score matrix.

    bm25s (arXiv 2407.03618) computes each passage's score for each term when the index is built; a query sums the
    columns of its terms. Ties are ordered by id over the complete tie set, and a query's hits do not depend on its
    batch. Queries are bags of terms: a repeated term counts repeatedly, as in Lucene. One difference from Lucene:
    document lengths are exact here, while Lucene stores them in one byte (exact up to 40 terms, then in steps).
    """

    is_lexical = True

    def __init__(
        self,
        passages: Sequence[Passage],
        vocabulary: dict[str, int],
        matrix: tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]],
        index_id: str,
        id_rank: NDArray[np.int64] | None = None,
    ) -> None:
        """Builds a searcher from the parts of an index.

        Args:
            passages: row -> passage.
            vocabulary: term -> column.
            matrix: compressed columns: scores float32 [entries], rows int32 [entries], starts int64 [columns + 1].
            index_id: recorded with every rollout.
            id_rank: int64 [passages], position of each row in id order; None if the rows are in id order.
        """
        self.index_id = index_id
        self._passages = passages
        self._vocabulary = vocabulary
        self._data, self._rows, self._starts = map(np.asarray, matrix)  # slices of a memory map cost ten times as much
        self._id_rank = id_rank

    @classmethod
    def from_passages(
        cls, passages: Sequence[Passage], *, k1: float = 0.9, b: float = 0.4, index_id: str | None = None
    ) -> Bm25sSearcher:
        """Indexes passages in memory.

        Args:
            passages: at least one.
            k1: term-frequency saturation.
            b: length normalisation.
            index_id: recorded with every rollout; by default a digest of corpus and parameters.
        """
        vocabulary: dict[str, int] = {}
        ids = [[vocabulary.setdefault(term, len(vocabulary)) for term in terms(p.contents)] for p in passages]
        if index_id is None:
            key = json.dumps(["bm25s", k1, b, corpus_sha256(passages)])
            index_id = hashlib.sha256(key.encode()).hexdigest()
        return cls(passages, vocabulary, _matrix(ids, vocabulary, k1, b), index_id, _id_rank(passages))

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id)."""
        try:
            return [self._one(query, k) for query in queries]
        except (IndexError, ValueError) as error:  # arrays of a file that do not fit together
            raise IndexFolderError(
                f"the bm25s index over {len(self._passages)} passages is damaged ({error}); check it with berrypick "
                "index check, and rebuild it"
            ) from error

    def close(self) -> None:
        """Nothing to release."""

    def save(self, folder: Path) -> None:
        """Writes the matrix and the vocabulary; the passages must be in id order. `load` reads them back."""
        arrays: tuple[NDArray[Any], ...] = (self._data, self._rows, self._starts)
        for name, array in zip(_ARRAYS, arrays):
            np.save(folder / f"{name}.npy", array)
        (folder / _VOCABULARY).write_text(json.dumps(self._vocabulary, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, passages: Sequence[Passage], index_id: str) -> Bm25sSearcher:
        """Opens what `save` wrote; the matrix is memory-mapped."""
        data, rows, starts = (load_array(folder / f"{name}.npy", dtype) for name, dtype in _ARRAYS.items())
        vocabulary = parse_json((folder / _VOCABULARY).read_bytes())
        if not isinstance(vocabulary, dict):
            raise ValueError("its vocabulary is no object")
        # bm25s itself adds a term "" without a column, for which nobody asks
        if not all(type(column) is int and 0 <= column < len(starts) for column in vocabulary.values()):
            raise ValueError("its vocabulary does not fit its matrix")
        return cls(passages, vocabulary, (data, rows, np.asarray(starts)), index_id)

    def _one(self, query: str, k: int) -> list[Hit]:
        columns = Counter(self._vocabulary[term] for term in terms(query) if term in self._vocabulary)
        if not columns or k < 1:
            return []
        spans = [slice(self._starts[column], self._starts[column + 1]) for column in columns]
        entries = np.concatenate([self._rows[span] for span in spans])
        pieces = [self._data[span] for span in spans]
        weights = np.concatenate(pieces).astype(np.float64)
        if len(entries) and not 0 <= entries.min() <= entries.max() < len(self._passages):
            raise ValueError("a row beyond the corpus")  # before anything of that size is made
        if any(count > 1 for count in columns.values()):
            sizes = [len(piece) for piece in pieces]  # of a damaged file, fewer than its starts say
            weights *= np.repeat(list(columns.values()), sizes)
        # float64 sums, so that the order of a query's terms does not change the float32 score
        if len(entries) * 8 > len(self._passages):  # one slot per passage is cheaper than sorting many entries
            totals = np.bincount(entries, weights, len(self._passages))
            rows = np.flatnonzero(totals)
            scores = totals[rows].astype(np.float32)
        else:
            rows, where = np.unique(entries, return_inverse=True)
            scores = np.bincount(where, weights, len(rows)).astype(np.float32)
        if len(rows) > k:
            floor = np.partition(scores, len(scores) - k)[len(scores) - k]
            keep = scores >= floor
            rows, scores = rows[keep], scores[keep]
        order = rows if self._id_rank is None else self._id_rank[rows]
        best = np.lexsort((order, -scores))[:k]
        return [self._hit(int(rows[i]), float(scores[i])) for i in best]

    def _hit(self, row: int, score: float) -> Hit:
        passage = self._passages[row]
        return Hit(passage.id, passage.title, passage.text, score)


def _matrix(
    ids: list[list[int]], vocabulary: dict[str, int], k1: float, b: float
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
    if not vocabulary:  # bm25s cannot index a corpus without a single term
        return np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(1, np.int64)
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs at debug level to standard error
    model = bm25s.BM25(method="lucene", k1=k1, b=b)
    model.index(bm25s.tokenization.Tokenized(ids=ids, vocab=vocabulary), show_progress=False)
    scores = model.scores
    return (
        np.asarray(scores["data"], np.float32),
        np.asarray(scores["indices"], np.int32),
        np.asarray(scores["indptr"], np.int64),
    )


def _id_rank(passages: Sequence[Passage]) -> NDArray[np.int64]:
    ids = [passage.id for passage in passages]
    rank = np.empty(len(ids), np.int64)
    rank[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    return rank
