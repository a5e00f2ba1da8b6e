"""The errors that berrypick raises on purpose: each is one line that ends with what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .plain_text import one_line

__all__ = [
    "BerrypickError",
    "MissingExtraError",
    "SearchUnavailableError",
    "UnknownNameError",
    "first_line",
    "system_reason",
]


class BerrypickError(Exception):
    """Base of all berrypick errors; the command line prints its message alone and exits with 2.

    The message is one line of bounded length without control characters, whatever text of a file or server is in it.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


_MOST_NAMES = 30


class UnknownNameError(BerrypickError):
    """A name that is not registered; the message offers the nearest known names."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
        more = f" or one of {len(near) - _MOST_NAMES} more" if len(near) > _MOST_NAMES else ""
        super().__init__(f"unknown {what} {name!r}; did you mean {', '.join(near[:_MOST_NAMES])}{more}?")


class MissingExtraError(BerrypickError):
    """An optional dependency is not installed; the message names the extra that installs it."""

    def __init__(self, feature: str, extra: str, cause: object = "") -> None:
        detail = f" ({cause})" if str(cause) else ""
        super().__init__(f'{feature} needs the "{extra}" extra{detail}; install it: pip install "berrypick[{extra}]"')


class SearchUnavailableError(BerrypickError):
    """A searcher that is still unavailable after all retries; episodes catch it, end and are counted as failed."""


def first_line(error: BaseException) -> str:
    """The first line of what an exception of a library says; the name of its class if it says nothing."""
    said = str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__


def system_reason(error: BaseException) -> str:
    """What the system says of a file or socket, without number and path; the whole message of other exceptions."""
    return getattr(error, "strerror", None) or str(error)
