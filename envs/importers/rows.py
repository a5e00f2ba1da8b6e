"""Rows of a file, whatever holds them: JSONL, a JSON list or object, Parquet, a zip of JSON, or text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from ...retrieval_index.data_files import LONGEST_LINE, all_lines
from ...retrieval_index.json_stream import elements
from ...retrieval_index.json_text import parse_json
from ..parquet_rows import parquet_rows
from ..record import RecordError
from .archives import samples_of, short_reason
from .files import Row, json_objects, opened

__all__ = ["Container", "Split", "container_of", "rows_of", "text_lines", "transcripts"]

Container = Literal["empty", "jsonl", "json", "parquet", "zip", "text"]

Split = Callable[[Iterator[tuple[int, str]]], Iterator[tuple[int, str]]]
"""Cuts the numbered lines of a text into transcripts, each with the number of its first line."""

_PEEK = 1 << 20
_FIRST_LINES = 50
_DAMAGED = "give a file that is whole, or leave this one out"


def container_of(path: Path) -> Container:
    """What holds the rows, from the content alone.

    Raises:
        RecordError: the file cannot be read.
    """
    with opened(path) as file:
        head = file.read(_PEEK)
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:4] == b"PK\x03\x04":
        return "zip"
    body = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not body:
        return "empty"
    if body[:1] == b"[" and body[1:].lstrip()[:1] in (b"{", b"]", b"[", b'"'):
        return "json"
    _, newline, rest = body.partition(b"\n")
    if body[:1] == b"{" and not newline and len(head) == _PEEK:  # a first line of more than a megabyte
        return "json" if b'"eval"' in body[:200] else "jsonl"  # Inspect writes a whole log on one line
    for line in body.split(b"\n")[:_FIRST_LINES]:
        if line.lstrip()[:1] == b"{" and _is_object(line):
            return "jsonl"
    if body[:1] == b"{":  # an object over several lines, or lines that are cut off
        starts = [line[:1] for line in rest.split(b"\n") if line.strip()]
        return "jsonl" if (starts and starts[0] == b"{") or not starts else "json"
    return "text"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False


def rows_of(path: Path, container: Container, inner: str = "samples") -> Iterator[tuple[str, Row | RecordError]]:
    """Yields (place, row) one by one; a row that is none is an error in its place.

    Args:
        path: the file.
        container: see `container_of`; neither "text" nor "empty".
        inner: see `retrieval_index.json_stream.elements`.

    Raises:
        RecordError: the file cannot be read.
        MissingExtraError: it is Parquet and pyarrow is not installed.
    """
    if container == "jsonl":
        for number, row in json_objects(path):
            yield f"{path}:{number}", row
    elif container == "json":
        yield from _json_rows(path, inner)
    elif container == "parquet":
        yield from parquet_rows(path, partial(_no_parquet, path))
    elif container == "zip":
        yield from samples_of(path)


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a text with their numbers, blank ones included; bytes that are no UTF-8 become U+FFFD.

    Raises:
        RecordError: the file cannot be read, or a line has more than `LONGEST_LINE` bytes.
    """
    with opened(path) as file:
        for number, line in all_lines(file):
            yield number, line.decode("utf-8", "replace")


def transcripts(path: Path, split: Split) -> Iterator[tuple[int, str]]:
    """Yields the transcripts of a text log, with the number of the line where each begins.

    Args:
        path: the file.
        split: see `Importer`.

    Raises:
        RecordError: see `text_lines`; or a transcript has more than `LONGEST_LINE` characters.
    """
    since = 0

    def counted() -> Iterator[tuple[int, str]]:
        nonlocal since
        for number, line in text_lines(path):
            since += len(line)
            if since > LONGEST_LINE:
                raise RecordError(
                    f"{path}:{number}: no transcript ends within {LONGEST_LINE >> 20} MiB; give a log of shorter "
                    "ones, or another --format"
                )
            yield number, line

    for transcript in split(counted()):
        since = 0
        yield transcript


def _json_rows(path: Path, inner: str) -> Iterator[tuple[str, Row | RecordError]]:
    with opened(path) as file:
        number = 0
        try:
            for number, value in enumerate(elements(file, inner), 1):
                place = f"{path}[{number - 1}]"
                bad = f"{place}: not a JSON object; {_DAMAGED}"
                yield place, value if isinstance(value, dict) else RecordError(bad)
        except ValueError as error:
            yield f"{path}[{number}]", RecordError(f"{path}[{number}]: not valid JSON ({error}); {_DAMAGED}")


def _no_parquet(path: Path, error: Exception) -> RecordError:
    return RecordError(f"cannot read {path}: {short_reason(error)}; {_DAMAGED}")
