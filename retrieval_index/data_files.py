"""Opens data files by their content: gzip is told by its first bytes, not by a name; byte order marks are dropped."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

__all__ = ["LONGEST_LINE", "all_lines", "is_gzipped", "numbered_lines", "opened_data"]

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 64 << 20
"""Bytes of a line, of a value in a longer file, and of a transcript in a text log."""

_BUFFER = 1 << 20
"""Bytes read at a time; the lines of rollouts are often longer than the default of 8 KiB."""


@contextmanager
def opened_data(path: Path) -> Iterator[IO[bytes]]:
    """A file of text for reading, decompressed if it is gzipped, from after its byte order mark if it has one.

    Raises:
        OSError: the file cannot be read, or its text is UTF-16, which `strerror` says. Reading raises OSError, EOFError
            or zlib.error where compressed data is cut off or damaged.
    """
    with cast(BufferedReader, path.open("rb", buffering=_BUFFER)) as raw:
        if raw.peek(len(_GZIP))[: len(_GZIP)] != _GZIP:
            yield _after_mark(raw, raw.peek(3)[:3])
            return
        with gzip.open(raw) as file:
            yield _after_mark(file, file.peek(3)[:3])  # type: ignore[arg-type]


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of such a file that are not blank, with their numbers from 1; see `opened_data` and `all_lines`."""
    with opened_data(path) as file:
        for number, line in all_lines(file):
            if not line.isspace():
                yield number, line


def all_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of an opened file with their numbers from 1.

    A bomb, a few bytes that unpack to gigabytes without a line break, must not fill the memory: a line of more than
    `LONGEST_LINE` bytes raises OSError.
    """
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 1), b""), 1):
        if len(line) > LONGEST_LINE:
            raise OSError(0, f"line {number} has more than {LONGEST_LINE >> 20} MiB")
        yield number, line


def _after_mark(file: IO[bytes], start: bytes) -> IO[bytes]:
    if start[:2] in _UTF_16:
        raise OSError(0, "its text is UTF-16; save it as UTF-8")
    if start == _BYTE_ORDER_MARK:
        file.read(len(_BYTE_ORDER_MARK))
    return file


def is_gzipped(path: Path) -> bool:
    """Whether the content of a file is gzipped; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP
