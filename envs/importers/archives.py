"""Logs that are zip archives of JSON files, as Inspect writes them."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ...retrieval_index import json_text
from ...retrieval_index.errors import MissingExtraError
from ...retrieval_index.json_text import parse_json
from ..record import RecordError
from .files import Row

__all__ = ["samples_of", "short_reason"]

_DAMAGED = "give a file that is whole, or leave this one out"
_ZSTANDARD = 93
_ERRORS = (
    OSError, ValueError, EOFError, RuntimeError, ArithmeticError, LookupError, zipfile.BadZipFile, zlib.error,
    lzma.LZMAError, struct.error,
)  # fmt: skip
"""What the libraries raise for an archive that is damaged, encrypted, or compressed in a way they do not know."""


def samples_of(path: Path) -> Iterator[tuple[str, Row | RecordError]]:
    """Yields (place, row) for each sample of an Inspect log, with the log's header under "header".

    A sample that cannot be read is an error in its place.

    Raises:
        RecordError: the archive cannot be read.
        MissingExtraError: it is compressed with Zstandard and pyarrow is not installed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            header: dict[str, Any] = {}
            for name in ("_journal/start.json", "header.json"):  # the journal is there also after an interruption
                if name in names:
                    value = parse_json(_member(path, archive, name))
                    header = value if isinstance(value, dict) else header
            for name in names:
                if name.startswith("samples/") and name.endswith(".json"):
                    place = f"{path}:{name}"
                    yield place, _sample(path, archive, name, place, header)
    except _ERRORS as error:
        raise RecordError(f"cannot read {path}: {short_reason(error)}; {_DAMAGED}") from error


def _sample(path: Path, archive: zipfile.ZipFile, name: str, place: str, header: dict[str, Any]) -> Row | RecordError:
    try:
        value = parse_json(_member(path, archive, name))
    except _ERRORS as error:
        return RecordError(f"{place}: {short_reason(error)}; {_DAMAGED}")
    if not isinstance(value, dict):
        return RecordError(f"{place}: not a JSON object; {_DAMAGED}")
    return {**value, "header": header}


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of a member. Inspect compresses with Zstandard, which Python's zipfile reads only from 3.14 on."""
    info = archive.getinfo(name)
    most = json_text.MOST_BYTES
    if info.compress_type != _ZSTANDARD:
        with archive.open(info) as file:
            body = file.read(most + 1)
    else:
        body = _unpacked(path, info, most + 1)
    if len(body) > most:
        raise ValueError(f"a file of the archive has more than {most >> 20} MiB")
    return body


def _unpacked(path: Path, info: zipfile.ZipInfo, most: int) -> bytes:
    """At most `most` bytes of a member that is compressed with Zstandard."""
    unpack = _unpacking()
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = file.read(30)
        name_size, extra_size = struct.unpack("<HH", local[26:30])
        file.seek(info.header_offset + 30 + name_size + extra_size)
        packed = file.read(info.compress_size)
    try:
        return unpack(packed, most)
    except Exception as error:  # each library has its own
        raise ValueError(f"the compressed data is damaged ({error})") from error


def _unpacking() -> Callable[[bytes, int], bytes]:
    """What unpacks at most so many bytes of Zstandard: the package that Inspect brings, or pyarrow."""
    try:
        import zstandard

        return lambda packed, most: bytes(zstandard.ZstdDecompressor().stream_reader(packed).read(most))
    except ImportError:
        pass
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("reading a log compressed with Zstandard", "data", error) from error
    return lambda packed, most: bytes(pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "zstd").read(most))


def short_reason(error: Exception) -> str:
    """What an exception of a library says, in one short line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
