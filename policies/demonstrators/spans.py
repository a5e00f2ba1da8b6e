"""Finds names in text: where a title is mentioned, and the longer span around it."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass

__all__ = ["Span", "content_words", "find_answer", "find_mention", "names_in", "plain_words", "spaces", "widened"]

_TOKEN = re.compile(r"[^\W_]+")

_CAPITAL = r"[A-Z\u00c0-\u00de\d][\w.'’\-]*"
_CAPITALS = re.compile(rf"\b{_CAPITAL}(?:,? (?:(?:of|the|de|and|&|in|la|le|von|van|for) )?{_CAPITAL})*")

_STOP_WORDS = (
    "a about after all also an and any are as at be been before both but by did do does during each either for from "
    "had has have he her his how i if in into is it its many more most much not of on or same she some than that the "
    "their them there these they this those to under up was were what when where which while who whom whose why will "
    "with would s"
)
_STOP = frozenset(_STOP_WORDS.split())
"""Words that tell a search nothing, question words included."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text: [start, end) in characters, and its words as they are spelled there."""

    start: int
    end: int
    text: str


def spaces(text: str) -> str:
    """The text on one line with single spaces, as a query or an answer is written."""
    return " ".join(text.split())


def content_words(text: str) -> list[str]:
    """The words of a text that tell a search something, as spelled, each once."""
    words = (match.group() for match in _TOKEN.finditer(text))
    return list(dict.fromkeys(word for word in words if _key(word) not in _STOP and len(word) > 1))


def plain_words(text: str) -> list[str]:
    """The content words of a question that are no part of a name: those without a capital, and numbers."""
    return [word for word in content_words(text) if not word[0].isupper()]


def names_in(text: str) -> list[str]:
    """Names in a text, each once and longest first: quoted phrases and runs of capitalised words."""
    quoted = [found.group(1) for found in re.finditer(r"[\"“]([^\"“”]{2,80})[\"”]", text)]
    runs = [found.group() for found in _CAPITALS.finditer(text)]
    runs = [run for run in runs if any(_key(word) not in _STOP for word in _TOKEN.findall(run))]
    while runs and _key(runs[0].split()[0]) in _STOP and len(runs[0].split()) > 1:  # "Which Dutch painter"
        runs[0] = runs[0].split(maxsplit=1)[1]
    return sorted(dict.fromkeys(spaces(name) for name in [*quoted, *runs]), key=lambda name: -len(name))


def find_mention(title: str, text: str) -> Span | None:
    """The span of a text that names a title.

    The title's words in a row count, whatever their case and accents, without a bracket at the end ("(film)") and then
    without what follows a comma or colon. Otherwise all its words in order and close together count, "Lucas Stephen
    Grabeel" for "Lucas Grabeel", or all but one of at least three. A title of one word must have its capital.
    """
    tokens = list(_TOKEN.finditer(text))
    keys = [_key(token.group()) for token in tokens]
    for words in _variants(title):
        for at in range(len(keys) - len(words) + 1):
            if keys[at : at + len(words)] != words:
                continue
            start, end = tokens[at].start(), tokens[at + len(words) - 1].end()
            if len(words) > 1 or not text[start].islower():
                return Span(start, end, spaces(text[start:end]))
    return _scattered(next(iter(_variants(title)), []), text, tokens, keys)


def find_answer(answer: str, text: str) -> str | None:
    """The answer as a span of a text, whatever its case and punctuation; None if it is not there."""
    words = [re.escape(word) for word in _TOKEN.findall(answer)]
    if not words:
        return None
    between = r"[\W_]+(?:(?:a|an|the)[\W_]+)?"
    found = re.search(rf"(?<![^\W_]){between.join(words)}(?![^\W_])", text, re.IGNORECASE)
    return spaces(found.group()) if found else None


def widened(text: str, span: Span, *, words: int = 4) -> str:
    """The span with up to so many words on either side, inside the same clause; its ends are content words."""
    left = re.split(r"[^\w\s'’\-]", text[: span.start])[-1].split()[-words:] if span.start else []
    right = re.split(r"[^\w\s'’\-]", text[span.end :])[0].split()[:words]
    while left and _key(left[0]) in _STOP:
        left = left[1:]
    while right and _key(right[-1]) in _STOP:
        right = right[:-1]
    glued = text[span.end : span.end + 1].strip() != "" and right and text[span.end] not in " "
    return spaces(" ".join([*left, span.text])) + (("" if glued else " ") + " ".join(right) if right else "")


def _variants(title: str) -> list[list[str]]:
    """The title's words without a closing bracket, then those before its first comma or colon."""
    base = re.sub(r"\s*\([^()]*\)\s*$", "", html.unescape(title)).strip() or title
    short = re.split(r"[,:]\s", base)[0]
    found = [[_key(word) for word in _TOKEN.findall(part)] for part in (base, short)]
    kept = [words for words in found if any(word not in _STOP for word in words)]
    return kept if len(kept) < 2 or kept[0] != kept[1] else kept[:1]


def _scattered(words: list[str], text: str, tokens: list[re.Match[str]], keys: list[str]) -> Span | None:
    """The shortest window that holds the words of a title in their order, or all but one of at least three."""
    wanted = [word for word in dict.fromkeys(words) if word not in _STOP]
    need = len(wanted) - (len(wanted) > 2)
    if need < 2:
        return None
    best: tuple[int, int] | None = None  # first and last token
    for first, key in enumerate(keys):
        at, found = -1, 0  # the place in the title of the word found last, and how many were found
        for last in range(first, min(len(keys), first + len(words) + 2)) if key in wanted else ():
            if keys[last] in wanted[at + 1 :]:
                at, found = wanted.index(keys[last]), found + 1
            if found == need:
                if best is None or last - first < best[1] - best[0]:
                    best = (first, last)
                break
    if best is None:
        return None
    start, end = tokens[best[0]].start(), tokens[best[1]].end()
    return Span(start, end, spaces(text[start:end]))


def _key(word: str) -> str:
    """A word without case and accents."""
    plain = unicodedata.normalize("NFKD", word)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
