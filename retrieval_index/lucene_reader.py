"""Reads a Lucene folder: Anserini's analyzer and query with Lucene's search by score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import BerrypickError
from .java import start_jvm

__all__ = ["LuceneReader", "first_line"]

_ID = "id"  # Anserini's name of the field that holds a document's id
_CONTENTS = "contents"
_RAW = "raw"


class LuceneReader:
    """Documents of a Lucene folder by number, and the best of them for a query. Thread-safe.

    pyjnius stores the receiver of a call in the method object, which all instances of a class share. Every receiver and
    argument below is therefore a local variable before the call, so that threads do not overwrite each other's.

    Anserini's own search sorts by (score, id). Lucene then cannot skip a document that ties with the k-th best so far,
    and common terms tie by the hundred thousand; Lucene's search by score alone skips them and breaks ties by document
    number. If the numbers ascend with the ids (`ordered`), as in every index of `build_lucene`, that is the same
    order.

    Attributes:
        num_docs: documents in the folder.
        ordered: whether the document numbers ascend with the ids.
    """

    def __init__(self, folder: Path, *, k1: float = 0.9, b: float = 0.4, ordered: bool | None = None) -> None:
        """Opens a folder.

        Args:
            folder: a Lucene index with Anserini's fields.
            k1: BM25's term-frequency saturation.
            b: BM25's length normalisation.
            ordered: whether document numbers ascend with the ids; None checks.

        Raises:
            BerrypickError: Lucene cannot open it.
        """
        start_jvm()
        import jnius

        classes = ("TopDocs", "ScoreDoc") if ordered else ("TopDocs", "ScoreDoc", "TopFieldDocs", "FieldDoc")
        for name in classes:  # loading a class for the first time is not thread-safe
            jnius.autoclass(f"org.apache.lucene.search.{name}")
        self._java_error: type[Exception] = jnius.JavaException
        self._generator: Any = jnius.autoclass("io.anserini.search.query.BagOfWordsQueryGenerator")()
        try:
            self._anserini: Any = jnius.autoclass("io.anserini.search.SimpleSearcher")(str(folder))
            self._anserini.set_bm25(k1, b)
        except jnius.JavaException as error:
            raise BerrypickError(
                f"Lucene cannot open {folder}: {first_line(error)}; use an Anserini folder that this version reads"
            ) from error
        self._analyzer, self._lucene = self._anserini.get_analyzer(), self._anserini.searcher
        self.num_docs = int(self._anserini.get_total_num_docs())
        self.ordered = True
        if not ordered:
            by_id, self._score_then_id = _order()
            self.ordered = ordered is None and _is_ordered(self._anserini.reader, by_id)

    @property
    def has_deletions(self) -> bool:
        """Whether some documents were deleted; their numbers are not reused."""
        reader = self._anserini.reader
        return bool(reader.hasDeletions())

    def best(self, query: str, k: int) -> list[tuple[int, float]]:
        """(number, score) of the k best documents, by (-score, number)."""
        return self._search(query, k)

    def best_by_id(self, query: str, k: int) -> list[tuple[int, float]]:
        """(number, score) of the k best documents, by (-score, id); slower than `best`."""
        return self.best(query, k) if self.ordered else self._search(query, k, self._score_then_id, True)

    def docid(self, number: int) -> str:
        """The id of a document."""
        document = self._anserini.doc(number)
        return str(document.get(_ID))

    def raw(self, number: int) -> str | None:
        """The raw text of a document; None if it was not stored."""
        document = self._anserini.doc(number)
        text = document.get(_RAW)
        return None if text is None else str(text)

    def close(self) -> None:
        """Closes the reader; a second call does nothing."""
        self._anserini.close()

    def _search(self, text: str, k: int, *order: Any) -> list[tuple[int, float]]:
        generator, analyzer, lucene, k = self._generator, self._analyzer, self._lucene, min(k, self.num_docs)
        try:
            query = generator.buildQuery(_CONTENTS, analyzer, text)
            found = lucene.search(query, k, *order)
        except self._java_error as error:
            if "AlreadyClosed" in str(error):
                raise BerrypickError("this index was closed; open it again") from error
            raise BerrypickError(f"Lucene cannot answer: {first_line(error)}; check the index") from error
        return [(hit.doc, hit.score) for hit in found.scoreDocs]


def first_line(error: object) -> str:
    """The message of a Java exception, without its stack trace."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _order() -> tuple[Any, Any]:
    """Lucene's sort orders by id, and by score then id. UTF-8 bytes sort like code points."""
    import jnius

    kind: Any = jnius.autoclass("org.apache.lucene.search.SortField$Type")
    field: Any = jnius.autoclass("org.apache.lucene.search.SortField")
    sort: Any = jnius.autoclass("org.apache.lucene.search.Sort")
    by_id = field(_ID, kind.STRING_VAL)
    return sort(by_id), sort(field.FIELD_SCORE, by_id)


def _is_ordered(reader: Any, by_id: Any) -> bool:
    """Lucene's check of a sorted index: compares neighbouring ids, about 0.15 s per million documents."""
    import jnius

    leaves = reader.leaves()
    if leaves.size() != 1:
        return False
    leaf = leaves.get(0)
    segment = leaf.reader()
    check: Any = jnius.autoclass("org.apache.lucene.index.CheckIndex")
    try:
        status = check.testSort(jnius.cast("org.apache.lucene.index.CodecReader", segment), by_id, None, False)
    except jnius.JavaException:
        return False
    return status.error is None
