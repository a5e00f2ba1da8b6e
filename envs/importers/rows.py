"""Rows of a file, whatever holds them: JSONL, a JSON list or object, Parquet, a zip of JSON, or text."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from ...retrieval_index.errors import MissingExtraError
from ...retrieval_index.json_text import parse_json
from ..record import RecordError
from .files import Row, json_objects, opened
from .json_stream import elements

__all__ = ["Container", "container_of", "rows_of", "text_lines"]

Container = Literal["empty", "jsonl", "json", "parquet", "zip", "text"]

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
        inner: see `json_stream.elements`.

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
        yield from _parquet_rows(path)
    elif container == "zip":
        yield from _zip_rows(path)


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a text with their numbers, blank ones included; bytes that are no UTF-8 become U+FFFD."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            yield number, line.decode("utf-8", "replace")


def _json_rows(path: Path, inner: str) -> Iterator[tuple[str, Row | RecordError]]:
    with opened(path) as file:
        number = 0
        try:
            for number, value in enumerate(elements(file, inner), 1):
                place = f"{path}[{number - 1}]"
                bad = f"{place}: not a JSON object; {_DAMAGED}"
                yield place, value if isinstance(value, dict) else RecordError(bad)
        except (ValueError, RecursionError) as error:
            yield f"{path}[{number}]", RecordError(f"{path}[{number}]: not valid JSON ({error}); {_DAMAGED}")


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row | RecordError]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingExtraError("reading Parquet", "data", error) from error
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    yield f"{path}[{number}]", row
                    number += 1
    except (ArrowException, OSError) as error:
        raise RecordError(f"cannot read {path}: {_one_line(error)}; {_DAMAGED}") from error


def _zip_rows(path: Path) -> Iterator[tuple[str, Row | RecordError]]:
    """The samples of an Inspect log, each with the log's header under "header"."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            header: dict[str, Any] = {}
            for name in ("_journal/start.json", "header.json"):  # the journal is there also after an interruption
                if name in names:
                    value = parse_json(_member(path, archive, name))
                    header = value if isinstance(value, dict) else header
            for name in names:
                if not name.startswith("samples/") or not name.endswith(".json"):
                    continue
                place = f"{path}:{name}"
                try:
                    value = parse_json(_member(path, archive, name))
                except (ValueError, zlib.error, zipfile.BadZipFile, EOFError) as error:
                    yield place, RecordError(f"{place}: {_one_line(error)}; {_DAMAGED}")
                    continue
                row = {**value, "header": header} if isinstance(value, dict) else None
                yield place, row or RecordError(f"{place}: not a JSON object; {_DAMAGED}")
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, zlib.error) as error:
        raise RecordError(f"cannot read {path}: {_one_line(error)}; {_DAMAGED}") from error


_ZSTANDARD = 93


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of a member. Inspect compresses with Zstandard, which Python's zipfile reads only from 3.14 on."""
    info = archive.getinfo(name)
    if info.compress_type != _ZSTANDARD:
        return archive.read(info)
    unpack = _unpacking()
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = file.read(30)
        if len(local) < 30:
            raise ValueError("the archive is cut off")
        name_size, extra_size = struct.unpack("<HH", local[26:30])
        file.seek(info.header_offset + 30 + name_size + extra_size)
        packed = file.read(info.compress_size)
    try:
        return unpack(packed)
    except Exception as error:  # each library has its own
        raise ValueError(f"the compressed data is damaged ({error})") from error


def _unpacking() -> Callable[[bytes], bytes]:
    """What unpacks Zstandard: the package of that name, which Inspect brings, or pyarrow."""
    try:
        import zstandard

        return lambda packed: bytes(zstandard.ZstdDecompressor().stream_reader(packed).read())
    except ImportError:
        pass
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("reading a log compressed with Zstandard", "data", error) from error
    return lambda packed: bytes(pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "zstd").read())


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
