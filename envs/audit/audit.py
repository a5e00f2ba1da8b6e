"""The audit of a corpus against questions: two passes over the passages, the second one only for near duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ...retrieval_index.corpus import Passage, passage_from_text
from ..answers import normalize
from ..data.leaks import Leak, find_leaks
from ..questions import Question, passages_of
from .coverage import Coverage, coverage_of, spellings
from .duplicates import Candidates, Duplicates, candidates, confirmed
from .needles import Needles
from .questions import AuditedQuestions, plain_title
from .sketches import Sketches
from .support import Support, support_of

__all__ = ["Audit", "audit_passages"]

_LEAST_WORDS = 5
"""Questions of fewer words are not looked for in passages: such a text can occur by chance."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found.

    Attributes:
        passages: number of passages.
        coverage: of the questions by answers.
        support: of the questions by supporting passages.
        duplicates: among the passages.
        split_leaks: questions that occur in two splits.
        asked: (question id, passage id) pairs: the passage contains the text of the question.
    """

    passages: int
    coverage: Coverage
    support: Support
    duplicates: Duplicates
    split_leaks: tuple[Leak, ...]
    asked: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        """The audit as one JSON document."""
        return {
            "passages": self.passages,
            "answers": {**asdict(self.coverage), "bound": self.coverage.bound},
            "support": asdict(self.support),
            "duplicates": asdict(self.duplicates),
            "leaks": {"between_splits": [asdict(leak) for leak in self.split_leaks], "into_corpus": list(self.asked)},
        }


def audit_passages(
    questions: AuditedQuestions,
    passages: Callable[[], Iterable[Passage]],
    *,
    scoring: str = "english",
    progress: Callable[[int], None] = lambda done: None,
) -> Audit:
    """Audits a corpus. Time is linear in the passages; memory is about 100 bytes for each, and what the questions need.

    Args:
        questions: to answer.
        passages: iterates over the corpus; called twice if some passages may be near duplicates.
        scoring: how texts are normalised, see `berrypick.envs.answers`.
        progress: called with the number of passages done since the last call.
    """
    asked = questions.all
    answers = Needles(text for question in asked for text in spellings(question, scoring))
    texts = {question.id: normalize(question.text, scoring) for question in asked}
    leaked = Needles(text for text in texts.values() if len(text.split()) >= _LEAST_WORDS)
    wanted = _Wanted(asked, questions)
    sketches, count = Sketches(), 0
    for passage in passages():
        text = normalize(passage.contents, scoring)
        words = text.split()
        answers.look(passage.id, text, words)
        leaked.look(passage.id, text, words)
        wanted.look(passage, text)
        sketches.add(text)
        count += 1
        if count % 1000 == 0:
            progress(1000)
    progress(count % 1000)
    found = candidates(*sketches.finish())
    return Audit(
        count,
        coverage_of(asked, answers, scoring),
        support_of(asked, questions.titles, wanted.by_id, wanted.by_title, scoring),
        _duplicates(found, passages, scoring),
        tuple(find_leaks(questions.splits)),
        tuple((key, leaked.found[text]) for key, text in texts.items() if text in leaked.found),
    )


class _Wanted:
    """Keeps the texts of the passages that questions name, by id and by title."""

    def __init__(self, asked: Iterable[Question], questions: AuditedQuestions) -> None:
        self._ids = {key for question in asked for key in passages_of(question.evidence)}
        self._titles = {plain_title(title) for title in questions.titles.values()}
        self._by_text = bool(questions.carried)  # their ids are digests, which the corpus need not use
        self.by_id: dict[str, str] = {}
        self.by_title: dict[str, str] = {}

    def look(self, passage: Passage, text: str) -> None:
        """Keeps the text of a passage if a question names it."""
        if passage.id in self._ids:
            self.by_id[passage.id] = text
        if self._by_text and (key := passage_from_text(passage.title, passage.text).id) in self._ids:
            self.by_id[key] = text
        if passage.title and (title := plain_title(passage.title)) in self._titles:
            self.by_title.setdefault(title, text)


def _duplicates(found: Candidates, passages: Callable[[], Iterable[Passage]], scoring: str) -> Duplicates:
    """Reads the passages that may be duplicates once more."""
    named = {row for pair in found.exact for row in pair} | found.rows
    texts, ids = dict[int, str](), dict[int, str]()
    if named:
        compared = found.rows
        for row, passage in enumerate(passages()):
            if row in named:
                ids[row] = passage.id
                if row in compared:
                    texts[row] = normalize(passage.contents, scoring)
    return confirmed(found, texts, ids)
