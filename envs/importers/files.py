"""Bytes and lines of a file, plain or gzipped; which of the two is seen from the content."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from ...retrieval_index.corpus import LONGEST_LINE
from ..record import RecordError

__all__ = ["Row", "json_objects", "lines", "opened"]

Row = dict[str, Any]
"""A JSON object: one line, one element of a list, or one row of a table."""

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CURE = "fix the line, or leave such lines out (berrypick report without --strict)"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading, decompressed if it is gzipped, whatever its name.

    Raises:
        RecordError: the file cannot be read, or its compressed data is cut off or damaged.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(len(_GZIP))
            raw.seek(0)
            if start != _GZIP:
                yield raw
                return
            with gzip.open(raw) as file:
                yield file  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecordError(f"cannot read {path}: {reason}; give a file of rollouts, plain or gzipped") from error


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the lines that are not blank, with their numbers from 1."""
    with opened(path) as file:
        for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 1), b""), 1):
            if len(line) > LONGEST_LINE:
                raise RecordError(f"{path}:{number}: a line of more than {LONGEST_LINE >> 20} MiB; one object a line")
            body = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
            if body.strip():
                yield number, body


def json_objects(path: Path) -> Iterator[tuple[int, Row | RecordError]]:
    """Yields the objects of a JSONL file with their line numbers; a line that is none is an error in its place."""
    for number, line in lines(path):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: bad JSON, bad UTF-8, an integer of 5000 digits
            yield number, RecordError(f"{path}:{number}: not valid JSON ({error}); {_CURE}")
            continue
        if not isinstance(value, dict):
            yield number, RecordError(f"{path}:{number}: not a JSON object; {_CURE}")
            continue
        yield number, value
