"""The actions of a turn, and functions that parse them from the policy's text in linear time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...retrieval_index.plain_text import encodable

__all__ = [
    "Action",
    "Answer",
    "Candidate",
    "Invalid",
    "Search",
    "blocks",
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

_LONGEST_CITATION = 8  # "[" and "]" around six digits


def cut_turn(text: str, stop: Sequence[str]) -> str:
    """The turn up to and including its first stop string."""
    ends = [at + len(tag) for tag in stop if (at := text.find(tag)) >= 0]
    return text[: min(ends)] if ends else text


def blocks(text: str, tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """The complete `<tag>...</tag>` of `tags`, in order and not overlapping: tag and [start, end) offsets of the body.

    The regular expression `<(a|b)>(.*?)</\\1>` finds the same blocks, but it takes quadratic time on a text of many
    opening tags. This search is linear: every tag's next opening and closing are kept until they are passed.
    """
    at, opens, closes = 0, dict.fromkeys(tags, -1), dict.fromkeys(tags, -1)
    while opens:
        for tag in list(opens):
            if opens[tag] < at:
                opens[tag] = text.find(f"<{tag}>", at)
            body = opens[tag] + len(tag) + 2
            if opens[tag] >= 0 and closes[tag] < body:
                closes[tag] = text.find(f"</{tag}>", body)
            if opens[tag] < 0 or closes[tag] < 0:  # and no later one is complete either
                del opens[tag], closes[tag]
        if not opens:
            return
        first = min(opens, key=opens.__getitem__)
        yield first, opens[first] + len(first) + 2, closes[first]
        at = closes[first] + len(first) + 3


def first_block(text: str, tags: Sequence[str]) -> tuple[str, int, int] | None:
    """The first complete `<tag>...</tag>` among `tags`: its tag and the [start, end) offsets of its body."""
    return next(blocks(text, tags), None)


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
    """The candidate of one line: a text, then the passages it cites, such as "tovenra [1][4]".

    A line of numbers in brackets alone is a text: "[1987]" is an answer.
    """
    text, cited = line.strip(), list[int]()
    end = len(text)
    while text.endswith("]", 0, end):
        opening = text.rfind("[", max(0, end - _LONGEST_CITATION), end)
        number = text[opening + 1 : end - 1] if opening >= 0 else ""
        before = opening
        while before > 0 and text[before - 1].isspace():
            before -= 1
        if before <= 0 or not (number.isascii() and number.isdigit()):
            break
        cited.append(int(number))
        end = before
    return Candidate(text[:end], tuple(reversed(cited)))
