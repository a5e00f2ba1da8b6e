"""Reads files of JSON records, whatever their form: one JSON value, JSONL or Parquet, plain or gzipped."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...retrieval_index.data_files import opened_data, read_data
from ...retrieval_index.errors import BerrypickError, MissingExtraError, system_reason
from ...retrieval_index.json_text import parse_json
from .questions_file import QuestionError

__all__ = ["read_records_of", "whole_json"]


def read_records_of(path: Path, skipped: list[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a JSON list, a JSONL file or a Parquet file, each with its file and number."""
    if _first_line(path)[:4] == b"PAR1":
        for number, row in enumerate(_parquet_rows(path)):
            yield f"{path}[{number}]", row
        return
    value = whole_json(path)
    places: Iterable[tuple[str, Any]]
    if isinstance(value, list):
        places = ((f"{path}[{number}]", item) for number, item in enumerate(value))
    else:
        places = ((f"{path}:{n}", _parse(line)) for n, line in enumerate(_bytes(path).split(b"\n"), 1) if line.strip())
    for where, item in places:
        if isinstance(item, dict):
            yield where, item
            continue
        reason = f"{where}: no valid JSON object; fix it, or leave such records out with --skip-bad"
        if skipped is None:
            raise QuestionError(reason)
        skipped.append(reason)


def _bytes(path: Path) -> bytes:
    try:
        return read_data(path)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> QuestionError:
    reason = system_reason(error)
    return QuestionError(f"cannot read {path}: {reason}; give a JSON, JSONL or Parquet file")


def _parse(text: bytes) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None


def whole_json(path: Path) -> Any:
    """The value of a file that is one JSON list or one JSON object over several lines; None for JSONL."""
    first = _first_line(path)
    if first[:1] not in (b"[", b"{"):
        return None
    line = _parse(first)
    if isinstance(line, dict) and not all(isinstance(value, list) for value in line.values()):
        return None
    value = _parse(_bytes(path))
    return value if isinstance(value, list | dict) else None


def _first_line(path: Path) -> bytes:
    try:
        with opened_data(path) as lines:
            return next((line.strip() for line in lines if line.strip()), b"")
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _parquet_rows(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingExtraError("reading Parquet", "data", error) from error
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise BerrypickError(f"cannot read {path}: {error}; give a Parquet file of question rows") from error
    return rows
