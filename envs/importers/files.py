"""Bytes and lines of a file, plain or gzipped; which of the two is seen from the content."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ...retrieval_index.data_files import numbered_lines, opened_data
from ...retrieval_index.errors import system_reason
from ...retrieval_index.json_text import parse_json
from ..record import RecordError

__all__ = ["Row", "json_objects", "lines", "opened"]

Row = dict[str, Any]
"""A JSON object: one line, one element of a list, or one row of a table."""

_CURE = "fix the line, or leave such lines out (berrypick report without --strict)"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading, decompressed if it is gzipped, whatever its name.

    Raises:
        RecordError: the file cannot be read, or its compressed data is cut off or damaged.
    """
    try:
        with opened_data(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the lines that are not blank, with their numbers from 1."""
    try:
        yield from numbered_lines(path)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> RecordError:
    reason = system_reason(error)
    return RecordError(f"cannot read {path}: {reason}; give a file of rollouts, plain or gzipped")


def json_objects(path: Path) -> Iterator[tuple[int, Row | RecordError]]:
    """Yields the objects of a JSONL file with their line numbers; a line that is none is an error in its place."""
    for number, line in lines(path):
        try:
            value = parse_json(line)
        except ValueError as error:  # bad JSON, bad UTF-8, an integer of 5000 digits
            yield number, RecordError(f"{path}:{number}: not valid JSON ({error}); {_CURE}")
            continue
        if not isinstance(value, dict):
            yield number, RecordError(f"{path}:{number}: not a JSON object; {_CURE}")
            continue
        yield number, value
