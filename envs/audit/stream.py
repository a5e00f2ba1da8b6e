"""A corpus file passage by passage, so that a large one needs no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...retrieval_index.corpus import CorpusError, Passage, jsonl_lines, jsonl_object, parse_passage
from ..data.json_files import whole_json
from ..data.upstream import read_any_corpus

__all__ = ["corpus_stream"]


def corpus_stream(path: Path, skipped: list[str] | None = None) -> Callable[[], Iterable[Passage]]:
    """A function that iterates over a corpus file; a JSONL file is read anew each time, line by line.

    Args:
        path: in any format of docs/data.md.
        skipped: if given, bad lines are left out and their errors are added to this list.

    Raises:
        CorpusError: with file and line, for a bad line, when it is reached.
    """
    if whole_json(path) is not None:
        passages = read_any_corpus(path, skipped=skipped)
        return lambda: passages
    return lambda: _lines(path, skipped)


def _lines(path: Path, skipped: list[str] | None) -> Iterator[Passage]:
    empty = True
    for number, line in jsonl_lines(path):
        try:
            passage = parse_passage(path, number, jsonl_object(path, number, line))
        except CorpusError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
            continue
        empty = False
        yield passage
    if empty:
        raise CorpusError(f"{path}: no passages; give a JSONL file with one passage a line")
