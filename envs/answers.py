"""Answer scores as the question-answering data sets define them: exact match, substring match, token F1.

`scoring` chooses how texts are normalised. "english" is the rule of the data sets and their official scripts.
"multilingual" is the same rule for ASCII; it also drops the punctuation of all scripts and makes each ideograph and
each kana a token of its own, because Chinese and Japanese put no spaces between words.

An answer of nothing but articles and punctuation ("The", "A", ".") normalises to nothing. As in the official scripts,
two such answers are equal, and one of them equals no other answer.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

from ..retrieval_index.errors import UnknownNameError

__all__ = ["SCORINGS", "check_scoring", "exact_match", "f1", "normalize", "sub_exact_match"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = frozenset({"yes", "no", "noanswer"})

# Han with its extensions and compatibility forms, the iteration marks, hiragana, katakana, bopomofo
_ALONE = re.compile(
    "([\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff][\u3099\u309a]*)"
)


def normalize(text: str, scoring: str = "english") -> str:
    """Lower case, no punctuation, no articles, single spaces (SQuAD, arXiv 1606.05250)."""
    return SCORINGS[scoring](text)


def _english(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _multilingual(text: str) -> str:
    if text.isascii():
        return _english(text)
    text = unicodedata.normalize("NFKC", text).lower()  # full-width digits and letters become ordinary ones
    plain = "".join(char for char in text if unicodedata.category(char)[0] != "P").translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", _ALONE.sub(r" \1 ", plain)).split())


SCORINGS: dict[str, Callable[[str], str]] = {"english": _english, "multilingual": _multilingual}
"""Name -> how texts are normalised."""


def check_scoring(scoring: object) -> str:
    """The name of a scoring; another one raises `UnknownNameError`."""
    if not isinstance(scoring, str) or scoring not in SCORINGS:
        raise UnknownNameError("scoring", str(scoring), SCORINGS)
    return scoring


def exact_match(prediction: str, answers: Iterable[str], scoring: str = "english") -> float:
    """1 if the normalised prediction equals any accepted answer, else 0."""
    got = normalize(prediction, scoring)
    return float(any(got == normalize(answer, scoring) for answer in answers))


def sub_exact_match(prediction: str, answers: Iterable[str], scoring: str = "english") -> float:
    """1 if the normalised prediction contains any accepted answer, else 0. It over-credits long predictions.

    It is never below exact match: an answer that normalises to nothing is contained only in another one of its kind.
    """
    got = normalize(prediction, scoring)
    wanted = (normalize(answer, scoring) for answer in answers)
    return float(any(answer in got if answer else not got for answer in wanted))


def f1(prediction: str, answers: Iterable[str], scoring: str = "english") -> float:
    """Best token F1 over the accepted answers.

    "yes", "no" and "noanswer" must match exactly: this is HotpotQA's rule, used here for all sets. Two answers that
    normalise to nothing are equal: this is MuSiQue's rule. On all other pairs the official scripts of both sets agree
    with this function.
    """
    got = normalize(prediction, scoring)
    return max((_f1(got, normalize(answer, scoring)) for answer in answers), default=0.0)


def _f1(got: str, wanted: str) -> float:
    if got != wanted and (got in _CLOSED or wanted in _CLOSED):
        return 0.0
    got_words, wanted_words = got.split(), wanted.split()
    common = sum((Counter(got_words) & Counter(wanted_words)).values())
    if common == 0:
        return float(got == wanted)
    precision, recall = common / len(got_words), common / len(wanted_words)
    return 2 * precision * recall / (precision + recall)
