"""Text to terms as Lucene's English analyzer makes them: lower case, possessives, stop words, Porter stems."""

from __future__ import annotations

import re
from functools import lru_cache

import Stemmer

__all__ = ["STOP_WORDS", "terms"]

# Lucene's EnglishAnalyzer.ENGLISH_STOP_WORDS_SET
STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
    ]
)

# A close relative of UAX 29 word breaks: letters and digits, joined inside a word by ' . and inside a number by . ,
_WORD = re.compile(
    r"[^\W_]+(?:(?:(?<=[^\W\d_])['’.:·](?=[^\W\d_]))[^\W_]+|(?:(?<=\d)[.,'](?=\d))\d[^\W_]*|_+[^\W_]+)*|_+[^\W_]+"
)
_POSSESSIVE = re.compile(r"['’＇][sS]$")


@lru_cache(maxsize=1)
def _stemmer() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("porter")


@lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word)) if len(word) > 2 else word


def terms(text: str) -> list[str]:
    """Index terms of a text, in order, with repetitions."""
    out = []
    for word in _WORD.findall(text):
        plain = _POSSESSIVE.sub("", word).lower()
        if plain not in STOP_WORDS and plain:
            out.append(_stem(plain))
    return out
