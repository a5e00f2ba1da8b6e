"""Names such as "shares-80-10-10": proportions in which kinds of record are drawn (World)."""

from __future__ import annotations

from ..retrieval_index.errors import BerrypickError

__all__ = ["SHARES", "shares_of"]

SHARES = "shares-"
"""How such a name begins."""


def shares_of(name: str, num_kinds: int = 0) -> tuple[float, ...]:
    """The proportions in a name such as "shares-80-10-10".

    Args:
        name: begins with `SHARES`.
        num_kinds: how many there must be; 0 is any number.

    Raises:
        BerrypickError: not all are numbers above 0, or there are more or fewer.
    """
    try:
        found = tuple(float(part) for part in name.removeprefix(SHARES).split("-"))
    except ValueError:
        found = (0.0,)
    if min(found) <= 0:
        raise BerrypickError(f"{name!r}: give numbers above 0 for each kind, such as shares-80-10-10")
    if num_kinds and len(found) != num_kinds:
        raise BerrypickError(f"{name!r} has {len(found)} shares, the World {num_kinds} kinds; give as many")
    return found
