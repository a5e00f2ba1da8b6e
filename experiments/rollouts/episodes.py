"""The episodes of a rollouts file one by one, in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...envs.importers import open_rollouts
from ...envs.record import EpisodeRecord
from ..report.arms import rollouts_file

__all__ = ["EpisodeFinder", "stream_episodes"]

_RECENT = 16


def stream_episodes(path: Path) -> Iterator[EpisodeRecord]:
    """Reads the episodes of a rollouts file or of the folder of an evaluation.

    Raises:
        BerrypickError: there is no such file, or a line cannot be read.
    """
    yield from open_rollouts(rollouts_file(path), skip_bad=False).records()


class EpisodeFinder:
    """Finds episodes by number. It reads no further than it must and keeps only the last few."""

    def __init__(self, start: Callable[[], Iterator[EpisodeRecord]]) -> None:
        """Wraps a file; `start` begins to read it."""
        self._start = start
        self._records = start()
        self._next = 0
        self._recent: dict[int, EpisodeRecord] = {}

    def at(self, index: int) -> EpisodeRecord | None:
        """The episode of a number from 0; None if the file has fewer."""
        if index < 0:
            return None
        if index < self._next and index not in self._recent:
            self._records, self._next, self._recent = self._start(), 0, {}
        while index not in self._recent:
            record = next(self._records, None)
            if record is None:
                return None
            self._recent[self._next] = record
            self._recent.pop(self._next - _RECENT, None)
            self._next += 1
        return self._recent[index]

    def of_question(self, question: str, sample: int | None) -> int | None:
        """The number of the first episode of a question, or of one of its samples; None if there is none."""
        index = 0
        while (record := self.at(index)) is not None:
            if record.question.id == question and sample in (None, record.sample_index):
                return index
            index += 1
        return None

    @property
    def num_read(self) -> int:
        """The number of episodes read so far; all of them once `at` has returned None."""
        return self._next
