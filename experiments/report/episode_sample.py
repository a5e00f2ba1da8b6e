"""A bounded number of whole episodes, for pages that show them; all others are measured and forgotten."""

from __future__ import annotations

from ...envs.record import EpisodeRecord

__all__ = ["EpisodeSample"]

_MOST_OF_A_QUESTION = 64


class EpisodeSample:
    """Keeps the episodes of the questions whose ids come first in alphabetical order.

    Args:
        questions: number of questions.
    """

    def __init__(self, questions: int) -> None:
        self._questions = questions
        self._kept: dict[str, list[EpisodeRecord]] = {}

    def add(self, record: EpisodeRecord) -> None:
        """Keeps the episode, if its question is among the first so far."""
        name = record.question.id
        if name in self._kept:
            if len(self._kept[name]) < _MOST_OF_A_QUESTION:
                self._kept[name].append(record)
            return
        if len(self._kept) < self._questions:
            self._kept[name] = [record]
        elif self._kept and name < (last := max(self._kept)):
            del self._kept[last]  # a question that was dropped once is after all that are kept, so it never comes back
            self._kept[name] = [record]

    @property
    def episodes(self) -> list[EpisodeRecord]:
        """The episodes, by question."""
        return [record for name in sorted(self._kept) for record in self._kept[name]]
