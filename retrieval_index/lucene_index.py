"""Lucene BM25 through Pyserini: the field's reference for lexical retrieval."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from .corpus import Passage, parse_passage
from .errors import BerrypickError
from .java import start_jvm
from .lucene_reader import LuceneReader, first_line
from .searcher import Hit, clean_query

__all__ = ["LuceneSearcher", "build_lucene", "docid", "stored_passages"]

_BATCH = 1000
_BUFFER_MIB = 512.0  # of the heap's 2 GB
_WORTH_A_THREAD_S = 1e-3
_MARGIN = 32  # hits beyond k that are read where document numbers do not ascend with ids
_ARGUMENTS = ("-input", "", "-collection", "JsonCollection", "-threads", "1")


def docid(row: int) -> str:
    """The Lucene document id of a row. As text it sorts like the row number, so Lucene breaks ties in id order."""
    return f"{row:010d}"


def build_lucene(passages: Sequence[Passage], folder: Path, progress: Callable[[int], None] | None = None) -> bool:
    """Writes a Lucene index of the passages' contents, in id order, with Anserini's English analyzer.

    Args:
        passages: in id order.
        folder: of the Lucene index.
        progress: called with the number of passages added since the last call.

    Returns:
        Whether document numbers ascend with the ids, which is expected.

    Raises:
        BerrypickError: Lucene could not write, or skipped passages.
    """
    start_jvm()
    import jnius

    writer: Any = None
    try:
        indexer: Any = jnius.autoclass("io.anserini.index.SimpleIndexer")(["-index", str(folder), *_ARGUMENTS])
        writer = indexer.writer
        _keep_order(writer)
        for at in range(0, len(passages), _BATCH):
            batch = passages[at : at + _BATCH]
            for row, passage in enumerate(batch, at):
                document = json.dumps({"id": docid(row), "contents": passage.contents})
                added = indexer.addRawDocument(document)  # see LuceneReader: nothing may be computed inside the call
                if not added and writer.getTragicException() is not None:
                    raise _StoppedError
            if progress is not None:
                progress(len(batch))
        writer.commit()  # Anserini's own `close` would log an error of the disk and go on
        writer.forceMerge(1)
        writer.close()
    except (jnius.JavaException, _StoppedError) as error:
        cure = "see that its disk has space and works"
        raise BerrypickError(f"Lucene cannot write {folder}: {_reason(writer, error)}; {cure}") from error
    finally:
        with suppress(jnius.JavaException):
            if writer is not None:
                writer.rollback()  # gives back files and memory after an error; does nothing after `close`
    reader = LuceneReader(folder)
    reader.close()
    if reader.num_docs != len(passages):
        raise BerrypickError(f"Lucene indexed {reader.num_docs} of {len(passages)} passages; please report their ids")
    return reader.ordered


class _StoppedError(Exception):
    """Lucene's writer stopped after an error, which Anserini only logs."""


def _reason(writer: Any, error: Exception) -> str:
    """Why Lucene could not write: the error that stopped its writer, if one did, since later ones only say "closed"."""
    import jnius

    with suppress(jnius.JavaException):
        stopped = None if writer is None else writer.getTragicException()
        if stopped is not None:
            return str(stopped.getMessage() or stopped.toString())
    _, caused, cause = str(error).rpartition("Caused by:")  # of a merge, whose own message is a page about segments
    return first_line(cause if caused and cause.strip() else error)


def _keep_order(writer: Any) -> None:
    """Merges only neighbouring segments, so that documents stay in id order at any corpus size.

    The buffer is smaller than Anserini's 2 GB, which would not leave room for anything else in the heap.
    """
    import jnius

    config = writer.getConfig()
    policy = jnius.autoclass("org.apache.lucene.index.LogByteSizeMergePolicy")()
    config.setMergePolicy(policy)
    config.setRAMBufferSizeMB(_BUFFER_MIB)


class LuceneSearcher:
    """`Searcher` over a Lucene index; ids, titles and texts come from the index folder's passages.

    An index of `build_lucene` returns rows in the contract's order. One that another tool built may number its
    documents in any order. Then a few more than k hits are read, and if even the last of them ties with the k-th,
    Lucene sorts by id itself.
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
        ordered: bool | None = None,
    ) -> None:
        """Opens an index.

        Args:
            folder: the Lucene index.
            passages: row -> passage.
            index_id: recorded with every rollout.
            k1: term-frequency saturation.
            b: length normalisation.
            threads: threads that search a batch; by default one per processor.
            row_of: Lucene's docid -> row; must preserve their order.
            ordered: whether document numbers ascend with the docids; None checks.
        """
        self.index_id = index_id
        self._passages, self._row_of = passages, row_of
        self._reader = LuceneReader(folder, k1=k1, b=b, ordered=ordered)
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, "lucene") if self._threads > 1 else None
        self._in_order = self._reader.ordered and self._reader.num_docs == len(passages)

    @property
    def num_docs(self) -> int:
        """Documents in the Lucene index."""
        return self._reader.num_docs

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Top k passages of each query by (-score, id)."""
        cleaned = [clean_query(query) for query in queries]
        asked = [query for query in dict.fromkeys(cleaned) if query]
        if not asked or k < 1:
            return [[] for _ in queries]
        found = dict(zip(asked, self._all(asked, k)))
        return [list(found.get(query, ())) for query in cleaned]

    def close(self) -> None:
        """Closes the reader and ends the threads."""
        if self._pool is not None:
            self._pool.shutdown()
        self._reader.close()

    def _all(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Lucene releases Python's lock, so threads help once a search takes longer than handing it to a thread."""
        began = time.perf_counter()
        rows = [self._rows(queries[0], k)]
        rest = queries[1:]
        if self._pool is None or not rest or time.perf_counter() - began < _WORTH_A_THREAD_S:
            rows += [self._rows(query, k) for query in rest]
        else:
            parts = min(self._threads, len(rest))
            shared: list[list[tuple[int, float]]] = [[]] * len(rest)
            try:
                found = self._pool.map(lambda part: self._part(rest[part::parts], k), range(parts))
            except RuntimeError as error:  # the pool was shut down
                raise BerrypickError("this index was closed; open it again") from error
            for part, done in enumerate(found):
                shared[part::parts] = done
            rows += shared
        return [[self._hit(row, score) for row, score in ranking] for ranking in rows]

    def _part(self, queries: Sequence[str], k: int) -> list[list[tuple[int, float]]]:
        """A part of a batch, in a thread of the pool. Java keeps what belongs to a thread until the thread detaches."""
        import jnius

        try:
            return [self._rows(query, k) for query in queries]
        finally:
            jnius.detach()

    def _hit(self, row: int, score: float) -> Hit:
        passage = self._passages[row]
        return Hit(passage.id, passage.title, passage.text, score)

    def _rows(self, query: str, k: int) -> list[tuple[int, float]]:
        """(row, score) of the k best passages, by (-score, row)."""
        reader = self._reader
        if self._in_order:
            return reader.best(query, k)
        fetch = k + _MARGIN
        found = reader.best(query, fetch)
        if len(found) == fetch and found[k - 1][1] == found[-1][1]:  # the tie set continues beyond what was read
            found = reader.best_by_id(query, k)
        elif len(found) > k:
            found = [pair for pair in found if pair[1] >= found[k - 1][1]]
        rows = [(self._row_of(reader.docid(number)), score) for number, score in found]
        return sorted(rows, key=lambda pair: (-pair[1], pair[0]))[:k]


def stored_passages(folder: Path) -> Iterator[Passage]:
    """Yields the passages of a Lucene folder with stored raw documents.

    Raises:
        BerrypickError: Lucene cannot open it, or a document has no id or raw text.
    """
    reader = LuceneReader(folder)
    try:
        if reader.has_deletions:
            raise BerrypickError(f"{folder} contains deleted documents; merge it into one segment (-optimize) first")
        for number in range(reader.num_docs):
            key, raw = reader.docid(number), reader.raw(number)
            if not key or not raw:
                reason = f"document {number} has no stored raw text; index it again with -storeRaw"
                raise BerrypickError(f"{folder}: {reason}")
            try:
                value = json.loads(raw)
            except ValueError:
                value = None
            line = value if isinstance(value, dict) else {"contents": raw}
            yield parse_passage(folder, number, {**line, "id": key})
    finally:
        reader.close()
