"""Splits text into index terms as Lucene's English analyzer does: lower case, possessives, stop words, Porter stems.

Word breaks follow UAX 29, as in Lucene's StandardTokenizer. Two differences: emoji are terms only for Lucene, and the
double quote inside Hebrew abbreviations is not special. `tests/retrieval_index/test_analyzer_lucene.py` compares both.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import Stemmer

__all__ = ["STOP_WORDS", "terms"]

# Lucene's EnglishAnalyzer.ENGLISH_STOP_WORDS_SET
# fmt: off
STOP_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
))
# fmt: on
MAX_TOKEN_CHARS = 255  # StandardTokenizer cuts longer words into pieces of this length

_MID_LETTER = frozenset(":·\u0387\u05f4\u2027\ufe13\ufe55\uff1a")
_MID_BOTH = frozenset(".'’\u2018\u2024\ufe52\uff07\uff0e")
_MID_NUMBER = frozenset(",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b")

# `_WordBreak` maps each character to one letter: A letter, N digit, K katakana, I ideograph, U connector, E mark that
# extends the character before it; M, Q and D are punctuation that joins letters, letters or digits, and digits.
_RUN = "(?:(?:AE*(?:[MQ]E*(?=A))?|NE*(?:[DQ]E*(?=N))?)+|(?:KE*)+)"
_WORD = re.compile(f"(?:UE*)*{_RUN}(?:(?:UE*)+{_RUN})*(?:UE*)*|IE*")
_DEPARTS = re.compile(r"(?:log|bl)[iy](?:s|es|ed|ing)?$")
_POSSESSIVE = re.compile(r"['’＇][sS]$")


class _WordBreak(dict[int, str]):
    """Code point to word-break class, for `str.translate`; filled as characters occur."""

    def __missing__(self, code: int) -> str:
        self[code] = value = _word_break(chr(code))
        return value


def _word_break(char: str) -> str:
    category = unicodedata.category(char)
    for kind, members in (("M", _MID_LETTER), ("Q", _MID_BOTH), ("D", _MID_NUMBER)):
        if char in members:
            return kind
    if category[0] == "M" or (category == "Cf" and char != "\u200b"):
        return "E"
    if char in "\u30a0\u309b\u309c" or "\u3031" <= char <= "\u3035":
        return "K"
    if category == "Nd":
        return "N"
    if category == "Pc":
        return "U"
    if category[0] == "L" or category == "Nl" or "\u24b6" <= char <= "\u24e9":
        return _letter(char)
    return "-"


def _letter(char: str) -> str:
    if "\u30a0" <= char <= "\u30ff" or "\u31f0" <= char <= "\u31ff" or "\uff66" <= char <= "\uff9f":
        return "K"
    name = unicodedata.name(char, "")
    return "I" if name.startswith(("CJK ", "HIRAGANA ")) or "IDEOGRAPH" in name else "A"


_CLASSES = _WordBreak()


@lru_cache(maxsize=1)
def _stemmer() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("porter")


@lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    """Porter's stem with the two changes of his own C version, which Lucene follows: bli -> ble, logi -> log."""
    if len(word) < 3:
        return word
    stem = str(_stemmer().stemWord(word))
    if not _DEPARTS.search(word):
        return stem
    if stem.endswith("logi") and _has_measure(stem[:-4]):
        return stem[:-1]
    if stem.endswith("bli") and _has_measure(stem[:-3]):
        return str(_stemmer().stemWord(stem[:-1] + "e"))
    return stem


def _has_measure(stem: str) -> bool:
    """Porter's m > 0: a vowel, later a consonant; y is a consonant at the start and after a vowel."""
    vowel_before = seen_vowel = False
    for at, char in enumerate(stem):
        vowel = char in "aeiou" or (char == "y" and at > 0 and not vowel_before)
        if not vowel and seen_vowel:
            return True
        seen_vowel, vowel_before = seen_vowel or vowel, vowel
    return False


def _lower(word: str) -> str:
    """Lower case one character at a time, as Java does: no final sigma, no two-character i."""
    return word.replace("İ", "i").replace("Σ", "σ").lower()


def terms(text: str) -> list[str]:
    """Index terms of a text, in order, with repetitions."""
    out = []
    for match in _WORD.finditer(text.translate(_CLASSES)):
        start, end = match.span()
        for at in range(start, end, MAX_TOKEN_CHARS):
            plain = _lower(_POSSESSIVE.sub("", text[at : min(end, at + MAX_TOKEN_CHARS)]))
            if plain and plain not in STOP_WORDS:
                out.append(_stem(plain))
    return out
