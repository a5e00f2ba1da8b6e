"""Reads files of JSON records, whatever their form: one JSON value, JSONL or Parquet, plain or gzipped.

The form is told by the first megabyte. Records come one by one, and none may have more than 64 MiB, so that no file
fills the memory before its records are looked at.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from ...retrieval_index.data_files import all_lines, opened_data
from ...retrieval_index.errors import BerrypickError, first_line, system_reason
from ...retrieval_index.json_stream import list_elements, pairs
from ...retrieval_index.json_text import parse_json
from ..parquet_rows import parquet_rows
from .questions_file import QuestionError

__all__ = ["read_records_of", "whole_json"]

_PEEK = 1 << 20
_SKIPPING = "fix it, or leave such records out with --skip-bad"
_FIRST_IS_A_LIST = re.compile(rb'\{\s*"(?:[^"\\]|\\.){0,1000}"\s*:\s*\[')

_Name = TypeVar("_Name")
Form = Literal["lines", "list", "object", "parquet"]


def read_records_of(path: Path, skipped: list[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a JSON list, a JSONL file or a Parquet file, each with its file and number.

    Args:
        path: the file.
        skipped: if given, records that are no JSON objects are left out, and their errors are added to this list.

    Raises:
        QuestionError: the file cannot be read, or a record is no JSON object.
    """
    form = _form_of(path)
    if form == "parquet":
        yield from parquet_rows(path, partial(_no_parquet, path))
        return
    places: Iterator[tuple[str, Any]] = _lines(path)
    if form == "list":
        places = ((f"{path}[{number}]", item) for number, item in _values(path, _numbered, skipped))
    for where, item in places:
        if isinstance(item, dict):
            yield where, item
            continue
        reason = f"{where}: no valid JSON object; {_SKIPPING}"
        if skipped is None:
            raise QuestionError(reason)
        skipped.append(reason)


def whole_json(
    path: Path, skipped: list[str] | None = None
) -> tuple[Literal["list", "object"], Iterator[tuple[int | str, Any]]] | None:
    """The form of a file that is one JSON value, with its elements by number or its values by name; None for JSONL.

    Such an object has several lines, or lists only. The file is read while the iterator is used; its errors are those
    of `read_records_of`.
    """
    form = _form_of(path)
    if form == "list":
        return form, ((number, item) for number, item in _values(path, _numbered, skipped))
    return (form, ((name, item) for name, item in _values(path, pairs, skipped))) if form == "object" else None


def _form_of(path: Path) -> Form:
    with _opened(path) as file:
        head = file.read(_PEEK)
    if head[:4] == b"PAR1":
        return "parquet"
    whole = len(head) < _PEEK
    head = head.lstrip()
    if head[:1] == b"[":
        return "list"
    if head[:1] != b"{":
        return "lines"
    first, newline, rest = head.partition(b"\n")
    if not newline and not whole:  # a line of more than a megabyte
        return "object" if _FIRST_IS_A_LIST.match(head) else "lines"
    line = _parse(first)
    if isinstance(line, dict):
        alone = whole and not rest.strip()
        return "object" if alone and all(isinstance(value, list) for value in line.values()) else "lines"
    return "lines" if not rest.strip() or rest.lstrip()[:1] == b"{" else "object"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """`opened_data`, whose errors become a `QuestionError`."""
    try:
        with opened_data(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        reason = system_reason(error)
        raise QuestionError(f"cannot read {path}: {reason}; give a JSON, JSONL or Parquet file") from error


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    with _opened(path) as file:
        for number, line in all_lines(file):
            if not line.isspace():
                yield f"{path}:{number}", _parse(line)


def _parse(text: bytes) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None


def _numbered(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    return enumerate(list_elements(file))


def _values(
    path: Path, read: Callable[[IO[bytes]], Iterator[tuple[_Name, Any]]], skipped: list[str] | None
) -> Iterator[tuple[_Name, Any]]:
    """Reads one JSON value piece by piece. Where it is damaged, the rest is one bad record."""
    with _opened(path) as file:
        number = 0
        try:
            for piece in read(file):
                yield piece
                number += 1
        except ValueError as error:
            reason = f"{path}[{number}]: no valid JSON ({error}); {_SKIPPING}"
            if skipped is None:
                raise QuestionError(reason) from error
            skipped.append(reason)


def _no_parquet(path: Path, error: Exception) -> BerrypickError:
    return BerrypickError(f"cannot read {path}: {first_line(error)}; give a Parquet file of question rows")
