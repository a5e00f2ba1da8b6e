"""The text of turns: which markup it has, and whether it degenerates into repetition."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

__all__ = ["COMPRESSION", "is_degenerate", "markup"]

COMPRESSION = 2.4
"""Text that zlib makes smaller by more than this factor is repetitive (Whisper's limit, arXiv 2212.04356)."""

_TAIL = 1000
"""Characters at the end of a turn that are examined. Longer natural text compresses better the longer it is, so one
limit fits texts of about one length only; and a policy that starts to loop rarely stops."""

_SHORTEST = 24
"""Bytes; a shorter text cannot be compressed by the limit."""

_REPEATS = 3
_LONGEST_PHRASE = 20
_OPENING = {"<": re.compile(r"\|?([A-Za-z_][\w-]{0,31})\|?>"), "[": re.compile(r"([A-Z_]{3,32})\]")}
"""What follows the first character of an opening tag."""

_TAG = re.compile(r"</?\|?[A-Za-z_][\w-]{0,31}\|?>|\[/?[A-Z_]{3,32}\]")


def markup(texts: Iterable[str]) -> str:
    """The format of a rollout: the names of its opening tags, each once, in order, joined by "+"; "text" without tags.

    "<think>", "<|tool_call|>" and "[TOOL_CALLS]" are opening tags; those in square brackets follow the others of their
    turn. Names longer than 32 characters are text.

    Args:
        texts: of the rollout's turns, in order.
    """
    names: dict[str, None] = {}
    for text in texts:
        for mark in "<[":  # splitting is several times as fast as searching long text for the whole pattern
            for piece in text.split(mark)[1:]:
                if (found := _OPENING[mark].match(piece)) is not None:
                    names[found[1].lower()] = None
    return "+".join(names) or "text"


def is_degenerate(text: str) -> bool:
    """Whether the end of a turn repeats itself.

    True if the last 1,000 characters, without tags, end in a phrase of 2 to 20 words that occurs at least three times
    in a row (arXiv 1904.09751), or if zlib compresses them, as UTF-8, by a factor above 2.4 (arXiv 2212.04356).
    """
    tail = _TAG.sub(" ", text[-_TAIL:])
    return _ends_in_loop(tail.split()) or _compression(tail) > COMPRESSION


def _ends_in_loop(words: list[str]) -> bool:
    for size in range(2, min(_LONGEST_PHRASE, len(words) // _REPEATS) + 1):
        phrase = words[-size:]
        if words[-1] == words[-1 - size] and all(
            words[-size * (n + 1) : len(words) - size * n] == phrase for n in range(1, _REPEATS)
        ):
            return True
    return False


def _compression(text: str) -> float:
    data = text.encode(errors="replace")
    if len(data) <= _SHORTEST:
        return 0.0
    # A window of 1 KiB holds the whole tail of most texts. The default of 32 KiB takes five times as long to set up.
    deflate = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, 10, 4)
    return len(data) / (len(deflate.compress(data)) + len(deflate.flush()))
