"""Questions to audit: also those whose support is not in the corpus, which no environment would accept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...retrieval_index.corpus import Passage
from ..data.evidence import MissingPassage
from ..data.questions_file import questions_from_lines
from ..data.upstream import question_lines
from ..questions import Question
from ..tasks.task import Task

__all__ = ["AuditedQuestions", "audited_questions", "of_task", "plain_title"]

_TITLE_ONLY = "title: "
"""Begins the key of a supporting passage of which a record gives only the title."""


@dataclass(frozen=True, slots=True)
class AuditedQuestions:
    """Questions by split, whatever the corpus holds.

    Attributes:
        splits: split -> questions; the ids in their evidence need not exist.
        titles: title of a supporting passage, where the records give it, by its id.
        carried: passages that the records hold themselves, by id.
    """

    splits: Mapping[str, tuple[Question, ...]]
    titles: Mapping[str, str]
    carried: Mapping[str, Passage]

    @property
    def all(self) -> Sequence[Question]:
        """The questions of all splits."""
        return [question for questions in self.splits.values() for question in questions]


def audited_questions(path: Path, *, skipped: list[str] | None = None) -> AuditedQuestions:
    """Reads a question file in any format of docs/data.md.

    Args:
        path: the file.
        skipped: if given, bad records are left out and their errors are added to this list.

    Raises:
        QuestionError: with file and record, for an unknown format or an invalid record.
    """
    lines, carried = question_lines(path, skipped)
    titles = _AnyTitle({key: passage.title for key, passage in carried.items()})
    for _, line in lines:
        metadata = line.get("metadata")
        if isinstance(metadata, dict):
            _name_support(metadata, titles)
    return AuditedQuestions(questions_from_lines(path, lines, titles, skipped), titles, carried)


def of_task(task: Task) -> AuditedQuestions:
    """The questions of an environment."""
    titles = dict[str, str]()
    for questions in task.questions.values():
        for question in questions:
            named = question.metadata.get("supporting_titles") or ()
            hops = question.evidence[0] if question.evidence else ()
            if len(named) == len(hops):
                titles.update((key, title) for hop, title in zip(hops, named) for key in hop if title)
    return AuditedQuestions(task.questions, titles, {})


def plain_title(title: str) -> str:
    """A title as titles are compared."""
    return " ".join(title.split())


class _AnyTitle(dict[str, str]):
    """Titles by id, in which every id is known."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return ""


def _name_support(metadata: dict[str, Any], titles: dict[str, str]) -> None:
    """Gives hops that are only titles a key, and notes the titles of hops that are ids, in place."""
    hops = metadata.get("supporting_ids")
    if not isinstance(hops, list):
        return
    facts = metadata.get("supporting_facts")
    named = metadata.get("supporting_titles") or _titles_of(facts)
    keys = [f"{_TITLE_ONLY}{hop.title or ''}" if isinstance(hop, MissingPassage) else hop for hop in hops]
    for at, (hop, key) in enumerate(zip(hops, keys)):
        title = hop.title if isinstance(hop, MissingPassage) else named[at] if len(named) == len(hops) else ""
        if title and isinstance(key, str) and isinstance(title, str):
            titles.setdefault(key, title)
    metadata["supporting_ids"] = keys


def _titles_of(facts: object) -> list[str]:
    """The different titles of HotpotQA's supporting facts, in order."""
    if isinstance(facts, dict):
        facts = [[title] for title in facts.get("title", ())]
    pairs = [pair for pair in facts if isinstance(pair, list) and pair] if isinstance(facts, list) else []
    return list(dict.fromkeys(pair[0] for pair in pairs if isinstance(pair[0], str)))
