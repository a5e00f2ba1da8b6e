"""Coverage: the share of questions whose answer is in the corpus. No policy that copies from passages exceeds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...retrieval_index.corpus import Passage
from ..answers import normalize
from ..questions import Question
from .needles import Needles

__all__ = ["Coverage", "answer_coverage", "coverage_of", "spellings"]

_CLOSED = frozenset({"yes", "no", "noanswer"})


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many questions can be answered from a corpus.

    Attributes:
        questions: number of questions.
        open: those whose answer is a text to find; the others accept yes, no or an answer without words.
        found: open questions with an accepted answer in some passage.
        absent: ids of the open questions without one.
    """

    questions: int
    open: int
    found: int
    absent: tuple[str, ...]

    @property
    def bound(self) -> float:
        """The most that a policy can reach that copies answers from passages; closed questions count as answered."""
        return 1 - len(self.absent) / self.questions if self.questions else 1.0


def spellings(question: Question, scoring: str) -> tuple[str, ...]:
    """The accepted answers, normalised; () for a question whose answer is no text to find."""
    answers = tuple(dict.fromkeys(normalize(answer, scoring) for answer in question.answers))
    return () if any(answer in _CLOSED or not answer for answer in answers) else answers


def coverage_of(questions: Sequence[Question], found: Needles, scoring: str) -> Coverage:
    """The coverage, after all passages were looked at."""
    answers = {question.id: spellings(question, scoring) for question in questions}
    absent = tuple(key for key, texts in answers.items() if texts and not any(text in found.found for text in texts))
    opened = sum(map(bool, answers.values()))
    return Coverage(len(answers), opened, opened - len(absent), absent)


def answer_coverage(
    questions: Sequence[Question], passages: Iterable[Passage], *, scoring: str = "english"
) -> Coverage:
    """Looks for the answers of some questions in all passages.

    Args:
        questions: with different ids.
        passages: the corpus; one pass.
        scoring: how texts are normalised, see `berrypick.envs.answers`.
    """
    needles = Needles(text for question in questions for text in spellings(question, scoring))
    for passage in passages:
        text = normalize(passage.contents, scoring)
        needles.look(passage.id, text, text.split())
    return coverage_of(questions, needles, scoring)
