"""Finds questions that occur in two sets, because a policy must not be evaluated on its training questions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..answers import normalize
from ..questions import Question, passages_of

__all__ = ["Leak", "evidence_and_answer", "find_leaks"]


@dataclass(frozen=True, slots=True)
class Leak:
    """The same question in two sets.

    Attributes:
        kind: "same question", "same id", or "same evidence and answer".
        first: set and question id.
        second: set and question id.
    """

    kind: str
    first: tuple[str, str]
    second: tuple[str, str]


def find_leaks(sets: Mapping[str, Sequence[Question]]) -> list[Leak]:
    """Leaks between every two sets. Each pair of questions is reported once, with the strongest kind that applies.

    Texts are normalised before they are compared (case, punctuation, articles, spaces). Evidence is compared if known.
    """
    leaks = []
    for (first, ones), (second, others) in itertools.combinations(sets.items(), 2):
        found: dict[tuple[str, str], str] = {}
        for kind, key in (
            ("same question", _text),
            ("same id", _id),
            ("same evidence and answer", evidence_and_answer),
        ):
            by_key: dict[object, list[str]] = {}
            for one in ones:
                if (value := key(one)) is not None:
                    by_key.setdefault(value, []).append(one.id)
            for other in others:
                value = key(other)
                for one_id in by_key.get(value, ()) if value is not None else ():
                    found.setdefault((one_id, other.id), kind)
        leaks += [Leak(kind, (first, one), (second, other)) for (one, other), kind in found.items()]
    return leaks


def _text(question: Question) -> object:
    return normalize(question.text)


def _id(question: Question) -> object:
    return question.id


def evidence_and_answer(question: Question) -> tuple[frozenset[str], str] | None:
    """All passages of the evidence and the normalised answer; None where no evidence is known."""
    passages = passages_of(question.evidence)
    return (passages, normalize(question.answers[0])) if passages else None
