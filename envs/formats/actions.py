"""What a turn asks for, and reading it out of the policy's own text in linear time."""

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
    """A call to the searcher; `spans` are the queries' [start, end) character offsets in the policy's own turn."""

    queries: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer with the passages it cites: [n] is the n-th passage shown in this episode."""

    text: str
    cited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer block; its first candidate is the one pass@1 scores."""

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

    The same block as the regular expression `<(a|b)>(.*?)</\\1>` finds, but linear on any text: if a tag's first
    opening has no closing after it, no later opening has.
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
    """The one query that stands between two offsets of a turn, without the space around it."""
    body = text[start:end]
    query = body.strip()
    start += len(body) - len(body.lstrip())
    return Search((query,), ((start, start + len(query)),))


def read_answer(text: str, start: int, end: int) -> Answer | Invalid:
    """The candidates that stand between two offsets of a turn, one a line."""
    lines = [line for line in text[start:end].split("\n") if line.strip()]
    if not lines:
        return Invalid("empty <answer> block")
    return Answer(tuple(read_candidate(line) for line in lines), (start, end))


def read_candidate(line: str) -> Candidate:
    """A line of an answer block: text, then the passages it cites, "tovenra [1][4]"."""
    text, cited = line.strip(), list[int]()
    while text.endswith("]"):
        head, bracket, number = text[:-1].rpartition("[")
        if not bracket or not (number.isascii() and number.isdigit() and len(number) <= 6):
            break
        cited.append(int(number))
        text = head.rstrip()
    return Candidate(text, tuple(reversed(cited)))


def encodable(text: str) -> str:
    """Lone surrogates become U+FFFD, character for character: indexes and files take only what UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)
    return text
