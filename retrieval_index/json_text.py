"""JSON from files and servers of strangers: whatever is wrong with a text is a ValueError, and no file is too large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["MOST_BYTES", "MOST_DEPTH", "check_depth", "parse_json", "read_json", "small_file"]

MOST_BYTES = 64 << 20
"""Bytes of a file that is read whole, such as a configuration, and of a value that is read from a longer file."""

MOST_DEPTH = 100
"""Lists and objects inside each other. Whatever walks through a value can go so deep; no known format needs a fifth."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON, is not UTF-8, or is nested deeper than `MOST_DEPTH`.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    opened = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if opened > MOST_DEPTH:
        check_depth(value)
    return value


_TOO_DEEP = "it is nested too deeply"


def check_depth(value: Any) -> None:
    """Raises ValueError if lists and objects are nested deeper than `MOST_DEPTH`."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def small_file(path: Path) -> bytes:
    """The content of a file that is small by nature, such as the configuration of a folder.

    Raises:
        OSError: it cannot be read, is no regular file (a pipe would never end), or has more than `MOST_BYTES`.
    """
    if path.exists() and not path.is_file():
        raise OSError(0, "it is no file")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(0, f"it has more than {MOST_BYTES >> 20} MiB")
    return content


def read_json(path: Path) -> Any:
    """The value of such a file of JSON.

    Raises:
        OSError: see `small_file`.
        ValueError: see `parse_json`.
    """
    return parse_json(small_file(path))
