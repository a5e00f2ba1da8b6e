"""Names such as "shares-80-10-10": proportions in which kinds of record are drawn (World)."""

from __future__ import annotations

from ..retrieval_index.errors import BerrypickError

__all__ = ["SHARES", "shares_of"]

SHARES = "shares-"
"""How such a name begins."""


def shares_of(name: str) -> tuple[float, ...]:
    """The proportions in a name such as "shares-80-10-10"; raises `BerrypickError` unless all are above 0."""
    try:
        found = tuple(float(part) for part in name.removeprefix(SHARES).split("-"))
    except ValueError:
        found = (0.0,)
    if min(found) <= 0:
        raise BerrypickError(f"{name!r}: give numbers above 0 for each kind, such as shares-80-10-10")
    return found
