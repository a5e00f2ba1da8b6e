"""Ids that depend on content alone."""

from __future__ import annotations

import hashlib

__all__ = ["digest"]


def digest(*parts: object) -> str:
    """Twelve hex digits that depend on the parts alone."""
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:12]
