"""Lucene BM25 through Pyserini: the field's reference for lexical retrieval."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .corpus import Passage
from .java import quiet_stdout, start_jvm
from .searcher import Hit

__all__ = ["LuceneSearcher", "build_lucene"]


def build_lucene(passages: Sequence[Passage], folder: Path) -> None:
    """Writes a Lucene index of the passages' contents with Anserini's English analyzer."""
    start_jvm()
    from pyserini.index.lucene import LuceneIndexer

    with quiet_stdout():
        indexer = LuceneIndexer(args=["-index", str(folder), "-threads", "1", "-optimize"], append=False)
        for passage in passages:
            indexer.add_doc_raw(json.dumps({"id": passage.id, "contents": passage.contents}))
        indexer.close()


class LuceneSearcher:
    """`Searcher` over a Lucene index; titles and texts come from the store's corpus.

    Pyserini orders by (rounded score, external id) and takes 1e-6 off for each tie, so results are fetched until the
    tie set at rank k is complete and are then ordered by (-score, id), ties as the rounding lets one see them.
    """

    def __init__(
        self,
        folder: Path,
        passages: Sequence[Passage],
        index_id: str,
        *,
        k1: float = 0.9,
        b: float = 0.4,
        threads: int = 2,
    ) -> None:
        start_jvm()
        from pyserini.search.lucene import LuceneSearcher as Pyserini

        self.index_id = index_id
        self._passages = {passage.id: passage for passage in passages}
        self._threads = threads
        self._lock = threading.Lock()
        with quiet_stdout():
            self._searcher: Any = Pyserini(str(folder))
            self._searcher.set_bm25(k1, b)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id)."""
        asked = {query: " ".join(query.split()) for query in dict.fromkeys(queries)}
        pending = [query for query, text in asked.items() if _has_term(text)]
        found: dict[str, list[Hit]] = {query: [] for query in asked}
        fetch = k + 8
        while pending and k > 0:
            results = self._batch([asked[query] for query in pending], fetch)
            again = []
            for query, raw in zip(pending, results):
                if len(raw) == fetch and raw[k - 1].score - raw[-1].score <= _tolerance(fetch):
                    again.append(query)
                else:
                    found[query] = self._hits(raw, k)
            pending, fetch = again, fetch * 4
        return [list(found[query]) for query in queries]

    def close(self) -> None:
        """Closes the reader."""
        if self._searcher is not None:
            self._searcher.close()
            self._searcher = None

    def _batch(self, texts: list[str], k: int) -> list[list[Any]]:
        ids = [str(i) for i in range(len(texts))]
        with self._lock:
            results = self._searcher.batch_search(texts, ids, k=k, threads=self._threads)
        return [results.get(key, []) for key in ids]

    def _hits(self, raw: list[Any], k: int) -> list[Hit]:
        scored: list[tuple[float, str]] = []
        run: list[tuple[float, str]] = []
        for result in raw:
            if run and run[0][0] - result.score > _tolerance(len(run)):
                scored += _settled(run)
                run = []
            run.append((float(result.score), str(result.docid)))
        scored += _settled(run)
        return [self._hit(docid, score) for score, docid in scored[:k]]

    def _hit(self, docid: str, score: float) -> Hit:
        passage = self._passages[docid]
        return Hit(docid, passage.title, passage.text, score)


def _tolerance(ties: int) -> float:
    """How far below the first of a tie run its last member may stand: 1e-6 a tie, and the rounding to 1e-4."""
    return 1.5e-6 * ties + 5e-6


def _settled(run: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Members of a tie run get its first score and stand by id."""
    return sorted(((run[0][0], docid) for _, docid in run), key=lambda pair: pair[1]) if run else []


def _has_term(text: str) -> bool:
    return any(char.isalnum() for char in text)
