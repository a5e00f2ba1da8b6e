"""The actions of a turn, and functions that parse them from the policy's text in linear time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Action",
    "Answer",
    "Candidate",
    "Invalid",
    "Search",
    "cut_turn",
    "encodable",
    "first_block",
    "read_answer",
    "read_candidate",
    "read_query",
]


@dataclass(frozen=True, slots=True)
class Search:
    """A search; `spans` are the [start, end) character offsets of the queries in the turn."""

    queries: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer and the passages it cites; n is the n-th passage shown in this episode."""

    text: str
    cited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer block; pass@1 scores its first candidate."""

    candidates: tuple[Candidate, ...]
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Invalid:
    """A turn that is neither a search nor an answer."""

    reason: str


Action = Search | Answer | Invalid
"""What a turn asks for."""


def cut_turn(text: str, stop: Sequence[str]) -> str:
    """The turn up to and including its first stop string."""
    ends = [at + len(tag) for tag in stop if (at := text.find(tag)) >= 0]
    return text[: min(ends)] if ends else text


def first_block(text: str, tags: Sequence[str]) -> tuple[str, int, int] | None:
    """The first complete `<tag>...</tag>` among `tags`: its tag and the [start, end) offsets of its body.

    The regular expression `<(a|b)>(.*?)</\\1>` finds the same block, but it takes quadratic time on a text of many
    opening tags. This search is linear: if the first opening of a tag has no closing tag after it, no later one has.
    """
    found = []
    for tag in tags:
        start = text.find(f"<{tag}>")
        if start >= 0 and (end := text.find(f"</{tag}>", start + len(tag) + 2)) >= 0:
            found.append((start, tag, start + len(tag) + 2, end))
    if not found:
        return None
    _, tag, start, end = min(found)
    return tag, start, end


def read_query(text: str, start: int, end: int) -> Search:
    """The query between two offsets of a turn, without surrounding white space."""
    body = text[start:end]
    query = body.strip()
    start += len(body) - len(body.lstrip())
    return Search((query,), ((start, start + len(query)),))


def read_answer(text: str, start: int, end: int) -> Answer | Invalid:
    """The candidates between two offsets of a turn, one per line."""
    lines = [line for line in text[start:end].split("\n") if line.strip()]
    if not lines:
        return Invalid("empty <answer> block")
    return Answer(tuple(read_candidate(line) for line in lines), (start, end))


def read_candidate(line: str) -> Candidate:
    """The candidate of one line: a text, then the passages it cites, such as "tovenra [1][4]"."""
    text, cited = line.strip(), list[int]()
    while text.endswith("]"):
        head, bracket, number = text[:-1].rpartition("[")
        if not bracket or not (number.isascii() and number.isdigit() and len(number) <= 6):
            break
        cited.append(int(number))
        text = head.rstrip()
    return Candidate(text, tuple(reversed(cited)))


def encodable(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD, because UTF-8 cannot encode surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)
    return text
