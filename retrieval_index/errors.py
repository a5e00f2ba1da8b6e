"""The root of every error berrypick raises on purpose: one clear line that ends with the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["BerrypickError", "MissingExtraError", "SearchUnavailableError", "UnknownNameError"]


class BerrypickError(Exception):
    """Base of all berrypick errors; the command line prints its message alone and exits with 2."""


_MOST_NAMES = 30


class UnknownNameError(BerrypickError):
    """A name nobody registered; the message offers the nearest known ones."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
        more = f" or one of {len(near) - _MOST_NAMES} more" if len(near) > _MOST_NAMES else ""
        super().__init__(f"unknown {what} {name!r}; did you mean {', '.join(near[:_MOST_NAMES])}{more}?")


class MissingExtraError(BerrypickError):
    """An optional dependency is not installed; the message says which extra brings it."""

    def __init__(self, feature: str, extra: str, cause: object = "") -> None:
        detail = f" ({cause})" if str(cause) else ""
        super().__init__(f'{feature} needs the "{extra}" extra{detail}; install it: pip install "berrypick[{extra}]"')


class SearchUnavailableError(BerrypickError):
    """A retriever that stayed away after all retries; an episode that meets it can end cleanly and be counted."""
