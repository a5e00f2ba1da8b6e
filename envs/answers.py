"""Answer scores as the question-answering data sets define them: exact match, substring match, token F1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable

__all__ = ["exact_match", "f1", "normalize", "sub_exact_match"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = frozenset({"yes", "no", "noanswer"})


def normalize(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces (SQuAD, arXiv 1606.05250)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Iterable[str]) -> float:
    """1 if the normalised prediction equals any accepted answer, else 0."""
    got = normalize(prediction)
    return float(any(got == normalize(answer) for answer in answers))


def sub_exact_match(prediction: str, answers: Iterable[str]) -> float:
    """1 if the normalised prediction contains any accepted answer, else 0. It over-credits long predictions."""
    got = normalize(prediction)
    return float(any(wanted in got for answer in answers if (wanted := normalize(answer))))


def f1(prediction: str, answers: Iterable[str]) -> float:
    """Best token F1 over the accepted answers.

    "yes", "no" and "noanswer" must match exactly: this is HotpotQA's rule, used here for all sets. Two answers that
    normalise to nothing are equal: this is MuSiQue's rule. On all other pairs the official scripts of both sets agree
    with this function.
    """
    return max((_f1(normalize(prediction), normalize(answer)) for answer in answers), default=0.0)


def _f1(got: str, wanted: str) -> float:
    if got != wanted and (got in _CLOSED or wanted in _CLOSED):
        return 0.0
    got_words, wanted_words = got.split(), wanted.split()
    common = sum((Counter(got_words) & Counter(wanted_words)).values())
    if common == 0:
        return float(got == wanted)
    precision, recall = common / len(got_words), common / len(wanted_words)
    return 2 * precision * recall / (precision + recall)
