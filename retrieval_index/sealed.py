"""JSON objects that carry a digest of themselves, so that a flipped bit or a cut file is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .json_text import parse_json

__all__ = ["digest_of", "sealed", "unsealed"]

_SEAL = "sha256"


def sealed(value: Mapping[str, Any]) -> str:
    """The text of a JSON object with its digest under "sha256"."""
    plain: dict[str, Any] = json.loads(json.dumps(value))  # keys that are numbers become text, as they are read back
    return json.dumps({**plain, _SEAL: digest_of(plain)}, sort_keys=True)


def unsealed(text: str | bytes) -> dict[str, Any]:
    """The object without its digest. One that never had a digest is taken as it is.

    Raises:
        ValueError: it is no JSON object, or its digest is wrong.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    stated = value.pop(_SEAL, None)
    if stated is not None and stated != digest_of(value):
        raise ValueError("its checksum is wrong")
    return value


def digest_of(value: Mapping[str, Any]) -> str:
    """SHA-256 of the JSON of an object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
