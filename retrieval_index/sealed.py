"""JSON objects and rows that carry a digest of themselves, so that a flipped bit or a cut file is noticed.

The digest stands under "sha256". What never had one is taken as it is: files of before, or of other programs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from .json_text import parse_json

__all__ = ["SEAL", "digest_of", "sealed", "sealed_row", "unsealed", "unsealed_row"]

SEAL = "sha256"
"""The key of the digest."""

_WRONG = "its checksum is wrong"
_POINT_ZERO = re.compile(rb"\.0(?=[,\]}])")
_ROW_SEAL = f', "{SEAL}": "'.encode()
_ROW_SEAL_LENGTH = len(_ROW_SEAL) + 64 + len('"}')


def sealed(value: Mapping[str, Any]) -> str:
    """The text of a JSON object with its digest under "sha256"."""
    plain: dict[str, Any] = json.loads(json.dumps(value))  # keys that are numbers become text, as they are read back
    return json.dumps({**plain, SEAL: digest_of(plain)}, sort_keys=True)


def unsealed(text: str | bytes) -> dict[str, Any]:
    """The object without its digest. One that never had a digest is taken as it is.

    Raises:
        ValueError: it is no JSON object, or its digest is wrong.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    stated = value.pop(SEAL, None)
    if stated is not None and stated != digest_of(value):
        raise ValueError(_WRONG)
    return value


def digest_of(value: Mapping[str, Any]) -> str:
    """SHA-256 of the JSON of an object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sealed_row(text: str) -> str:
    """A row of a JSONL file with its digest at the end.

    Args:
        text: the JSON of an object that is not empty, as `json.dumps(value, sort_keys=True, ensure_ascii=False)` gives
            it, without a line break.
    """
    return f'{text[:-1]}, "{SEAL}": "{_row_digest(text.encode())}"}}'


def unsealed_row(line: bytes) -> tuple[bytes, bool]:
    """A row without its digest, and whether it had one.

    The digest is of the content: programs may write the row again, with other spaces, another order of keys, other
    escapes, or 1 for 1.0. A line that is no JSON object comes back as it is.

    Raises:
        ValueError: the digest is wrong.
    """
    row = line.strip()
    at = len(row) - _ROW_SEAL_LENGTH
    if at > 0 and row[at : at + len(_ROW_SEAL)] == _ROW_SEAL and row.endswith(b'"}'):
        plain = row[:at] + b"}"
        if _row_digest(plain) == row[-66:-2].decode("ascii", "replace"):
            return plain, True
    if f'"{SEAL}"'.encode() not in row:
        return line, False
    return _written_again(line)


def _written_again(line: bytes) -> tuple[bytes, bool]:
    """As `unsealed_row`, for a row that is not as it was written."""
    try:
        value = parse_json(line)
        stated = value.pop(SEAL, None) if isinstance(value, dict) else None
        if stated is None:
            return line, False
        plain = json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # its reader says what is wrong
        return line, False
    if _row_digest(plain) != stated:
        raise ValueError(_WRONG)
    return plain, True


def _row_digest(plain: bytes) -> str:
    """SHA-256 of a row's JSON, in which a number such as 1.0 counts as 1: some programs write one for the other."""
    return hashlib.sha256(_POINT_ZERO.sub(b"", plain)).hexdigest()
