"""BM25 without a JVM: the scoring of Lucene on a bm25s score matrix, for core installs, workers and small worlds."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .analyzer import terms
from .corpus import Passage, corpus_sha256
from .searcher import Hit

__all__ = ["Bm25sSearcher"]


class Bm25sSearcher:
    """`Searcher` over passages in memory.

    bm25s (arXiv 2407.03618) computes each passage's score for each term when the index is built; a query sums the
    columns of its terms. Complete tie sets are resolved by (-score, id), and a query's hits do not depend on its batch.
    Queries are bags of terms: a term said twice counts twice, as in Lucene.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        vocabulary: dict[str, int],
        matrix: tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]],
        index_id: str,
    ) -> None:
        self.index_id = index_id
        self._passages = passages
        self._vocabulary = vocabulary
        self._data, self._rows, self._starts = matrix
        order = np.argsort(np.array([passage.id for passage in passages]), kind="stable")
        self._id_rank = np.empty(len(passages), np.int64)
        self._id_rank[order] = np.arange(len(passages))

    @classmethod
    def from_passages(
        cls, passages: Sequence[Passage], *, k1: float = 0.9, b: float = 0.4, index_id: str | None = None
    ) -> Bm25sSearcher:
        """Indexes passages in memory.

        Args:
            passages: at least one.
            k1: term-frequency saturation.
            b: length normalisation.
            index_id: what goes into records; by default a digest of corpus and parameters.
        """
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs at debug level to standard error
        vocabulary: dict[str, int] = {}
        ids = [[vocabulary.setdefault(term, len(vocabulary)) for term in terms(p.contents)] for p in passages]
        if not vocabulary:
            vocabulary[""] = 0
        model = bm25s.BM25(method="lucene", k1=k1, b=b)
        model.index(bm25s.tokenization.Tokenized(ids=ids, vocab=vocabulary), show_progress=False)
        scores = model.scores
        matrix = (
            np.asarray(scores["data"], np.float32),
            np.asarray(scores["indices"], np.int32),
            np.asarray(scores["indptr"], np.int64),
        )
        if index_id is None:
            key = json.dumps(["bm25s", k1, b, corpus_sha256(passages)])
            index_id = hashlib.sha256(key.encode()).hexdigest()
        return cls(passages, vocabulary, matrix, index_id)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id)."""
        return [self._one(query, k) for query in queries]

    def close(self) -> None:
        """Nothing to release."""

    def save(self, folder: Path) -> None:
        """Writes the matrix and the vocabulary; `load` reads them back."""
        np.savez(folder / "bm25s.npz", data=self._data, rows=self._rows, starts=self._starts)
        (folder / "vocabulary.json").write_text(json.dumps(self._vocabulary, ensure_ascii=False))

    @classmethod
    def load(cls, folder: Path, passages: Sequence[Passage], index_id: str) -> Bm25sSearcher:
        """Opens what `save` wrote."""
        with np.load(folder / "bm25s.npz", allow_pickle=False) as arrays:
            matrix = (arrays["data"], arrays["rows"], arrays["starts"])
        return cls(passages, json.loads((folder / "vocabulary.json").read_text()), matrix, index_id)

    def _one(self, query: str, k: int) -> list[Hit]:
        columns = [self._vocabulary[term] for term in terms(query) if term in self._vocabulary]
        if not columns or k < 1:
            return []
        spans = [slice(self._starts[column], self._starts[column + 1]) for column in columns]
        rows, where = np.unique(np.concatenate([self._rows[span] for span in spans]), return_inverse=True)
        totals = np.zeros(len(rows), np.float64)
        np.add.at(totals, where, np.concatenate([self._data[span] for span in spans]).astype(np.float64))
        scores = totals.astype(np.float32)
        if len(rows) > k:
            floor = np.partition(scores, len(scores) - k)[len(scores) - k]
            keep = scores >= floor
            rows, scores = rows[keep], scores[keep]
        best = np.lexsort((self._id_rank[rows], -scores))[:k]
        return [self._hit(int(rows[i]), float(scores[i])) for i in best]

    def _hit(self, row: int, score: float) -> Hit:
        passage = self._passages[row]
        return Hit(passage.id, passage.title, passage.text, score)
