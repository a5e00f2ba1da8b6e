"""Support: are the passages that questions name in the corpus, and do they hold the answer?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..questions import Question
from .coverage import spellings
from .questions import plain_title

__all__ = ["Missing", "Support", "support_of"]


@dataclass(frozen=True, slots=True)
class Missing:
    """A supporting passage that the corpus lacks; `title` is "" if nothing names it."""

    question: str
    passage: str
    title: str


@dataclass(frozen=True, slots=True)
class Support:
    """How many questions are supported.

    Attributes:
        questions: questions that name supporting passages.
        by_id: those with a whole path whose ids are in the corpus.
        by_title: further ones with a whole path if titles count too.
        open: questions of `by_id` and `by_title` whose answer is a text to find.
        answered: those of them with an accepted answer in a supporting passage.
        missing: supporting passages that are in the corpus neither by id nor by title, of questions without a path.
    """

    questions: int
    by_id: int
    by_title: int
    open: int
    answered: int
    missing: tuple[Missing, ...]


def support_of(
    questions: Sequence[Question],
    titles: Mapping[str, str],
    by_id: Mapping[str, str],
    by_title: Mapping[str, str],
    scoring: str,
) -> Support:
    """Counts supported questions.

    Args:
        questions: with evidence, or without, which are not counted.
        titles: title of a supporting passage, where one is known, by its id.
        by_id: normalised texts of the supporting passages that are in the corpus, by id.
        by_title: normalised texts of passages with a wanted title, by title.
        scoring: how texts are normalised.
    """

    def text_of(key: str) -> str | None:
        return by_id.get(key, by_title.get(plain_title(titles[key])) if titles.get(key) else None)

    def supported(question: Question, known: Callable[[str], bool]) -> bool:
        return any(all(any(map(known, hop)) for hop in path) for path in question.evidence)

    named = ids = by_titles = opened = answered = 0
    missing: list[Missing] = []
    for question in questions:
        if not any(question.evidence):
            continue
        named += 1
        whole = supported(question, by_id.__contains__)
        partly = whole or supported(question, lambda key: text_of(key) is not None)
        ids, by_titles = ids + whole, by_titles + (partly and not whole)
        if not partly:
            absent = [hop for hop in question.evidence[0] if all(text_of(key) is None for key in hop)]
            missing += [Missing(question.id, key, titles.get(key, "")) for hop in absent for key in sorted(hop)[:1]]
            continue
        if not (answers := spellings(question, scoring)):
            continue
        opened += 1
        texts = [text_of(key) for path in question.evidence for hop in path for key in hop]
        answered += any(f" {answer} " in f" {text} " for text in texts if text is not None for answer in answers)
    return Support(named, ids, by_titles, opened, answered, tuple(missing))
