"""Lucene BM25 through Pyserini: the field's reference for lexical retrieval."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .corpus import Passage, parse_passage
from .errors import BerrypickError
from .java import start_jvm
from .searcher import Hit, clean_query

__all__ = ["LuceneSearcher", "build_lucene", "docid", "stored_passages"]

_BATCH = 1000


def docid(row: int) -> str:
    """The id Lucene knows a row by. As text it sorts like the row, so Lucene breaks ties as the contract wants them."""
    return f"{row:010d}"


def build_lucene(passages: Sequence[Passage], folder: Path, progress: Callable[[int], None] | None = None) -> None:
    """Writes a Lucene index of the passages' contents, in id order, with Anserini's English analyzer.

    Args:
        passages: in id order.
        folder: of the Lucene index.
        progress: is told how many passages were added since the last call.

    Raises:
        BerrypickError: Lucene could not write, or left passages out.
    """
    start_jvm()
    import jnius
    from pyserini.index.lucene import LuceneIndexer

    try:
        indexer = LuceneIndexer(args=["-index", str(folder), "-threads", "1", "-optimize"], append=False)
        for at in range(0, len(passages), _BATCH):
            batch = passages[at : at + _BATCH]
            for row, passage in enumerate(batch, at):
                indexer.add_doc_raw(json.dumps({"id": docid(row), "contents": passage.contents}))
            if progress is not None:
                progress(len(batch))
        indexer.close()
        written = _num_docs(folder)
    except jnius.JavaException as error:
        raise BerrypickError(f"Lucene cannot write {folder}: {_first_line(error)}; free some space") from error
    if written != len(passages):
        raise BerrypickError(f"Lucene took {written} of {len(passages)} passages; please report their ids")


class LuceneSearcher:
    """`Searcher` over a Lucene index; ids, titles and texts come from the store's passages.

    Lucene orders by (score, docid), and docids sort as the rows do, so its first k are the contract's. Anserini rounds
    scores to 1e-4 and takes 1e-6 off for each tie before it; the tied passages get their common score back.
    """

    is_lexical = True

    def __init__(
        self,
        folder: Path,
        passages: Sequence[Passage],
        index_id: str,
        *,
        k1: float = 0.9,
        b: float = 0.4,
        threads: int | None = None,
        row_of: Callable[[str], int] = int,
    ) -> None:
        """Opens an index.

        Args:
            folder: the Lucene index.
            passages: row -> passage.
            index_id: what goes into records.
            k1: term-frequency saturation.
            b: length normalisation.
            threads: of a batch; the machine's processors by default.
            row_of: Lucene's docid -> row; must keep the order.
        """
        start_jvm()
        from pyserini.search.lucene import LuceneSearcher as Pyserini

        self.index_id = index_id
        self._passages, self._row_of = passages, row_of
        self._threads = threads or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._searcher: Any = Pyserini(str(folder))
        self._searcher.set_bm25(k1, b)

    @property
    def num_docs(self) -> int:
        """Documents in the Lucene index."""
        return int(self._searcher.num_docs)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id)."""
        cleaned = [clean_query(query) for query in queries]
        asked = [query for query in dict.fromkeys(cleaned) if query]
        if not asked or k < 1:
            return [[] for _ in queries]
        ids = [str(i) for i in range(len(asked))]
        with self._lock:
            if self._searcher is None:
                raise BerrypickError("this index was closed; open it again")
            results = self._searcher.batch_search(asked, ids, k=k, threads=self._threads)
        found = {query: self._hits(results.get(key, ())) for query, key in zip(asked, ids)}
        return [list(found.get(query, ())) for query in cleaned]

    def close(self) -> None:
        """Closes the reader."""
        with self._lock:
            if self._searcher is not None:
                self._searcher.close()
                self._searcher = None

    def _hits(self, raw: Sequence[Any]) -> list[Hit]:
        pairs = [(float(result.score), self._row_of(result.docid)) for result in raw]
        out = []
        for row, score in _common_scores(pairs):
            passage = self._passages[row]
            out.append(Hit(passage.id, passage.title, passage.text, score))
        return out


def _common_scores(pairs: Sequence[tuple[float, int]]) -> list[tuple[int, float]]:
    """Undoes Anserini's 1e-6 a tie.

    Rows of a run ascend; where they do not, the scores differed before they were rounded, and a new run begins, so
    that the result is always ordered by (-score, row).
    """
    out: list[tuple[int, float]] = []
    first, ties = 0.0, 0
    for score, row in pairs:
        ties += 1
        if out and row > out[-1][0] and abs(first - 1e-6 * ties - score) < 3e-6:
            out.append((row, first))
        else:
            first, ties = score, 0
            out.append((row, score))
    return out


def stored_passages(folder: Path) -> Iterator[Passage]:
    """Reads the passages out of a Lucene folder that keeps its raw documents.

    Raises:
        BerrypickError: a document without id or raw text.
    """
    start_jvm()
    from pyserini.index.lucene import LuceneIndexReader

    reader: Any = LuceneIndexReader(str(folder))
    for number in range(_num_docs(folder)):
        key = reader.convert_internal_docid_to_collection_docid(number)
        raw = reader.doc_raw(key) if key else None
        if not raw:
            raise BerrypickError(f"{folder}: document {number} keeps no raw text; index it again with -storeRaw")
        try:
            value = json.loads(raw)
        except ValueError:
            value = None
        line = value if isinstance(value, dict) else {"contents": raw}
        yield parse_passage(folder, number, {**line, "id": key})


def _num_docs(folder: Path) -> int:
    from pyserini.index.lucene import LuceneIndexReader

    return int(LuceneIndexReader(str(folder)).stats()["documents"])


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
