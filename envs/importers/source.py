"""An opened rollouts file: its episodes one by one, what was left out, and what its format cannot give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ...retrieval_index.plain_text import counted
from ..record import EpisodeRecord, NewerSchemaError, RecordError
from ..wholeness import Wholeness
from .absent import absent_measures, parts_of

__all__ = ["MOST_REASONS", "Episodes", "RolloutSource"]

MOST_REASONS = 1000
"""Number of skipped lines whose reasons are kept; the others are only counted."""

Episodes = Callable[[Wholeness], Iterator[EpisodeRecord | RecordError]]
"""Starts reading a file. A line that cannot be used is an error in its place, so that reading can go on after it.

What the file lacks is noted in the argument, if its format tells it.
"""


class RolloutSource:
    """The rollouts of one file. `open_rollouts` makes it.

    Attributes:
        path: the file.
        format: name of the format, e.g. "verl dump".
        own: whether berrypick wrote the file.
        skipped: after an iteration, "FILE:LINE: reason; cure" of the first `MOST_REASONS` lines that were left out.
        num_skipped: after an iteration, the number of lines that were left out.
        num_rollouts: after an iteration, the number of rollouts.
        whole: after an iteration, what berrypick's own file lacks: rollouts that were cut off, checksums.
    """

    def __init__(
        self,
        path: Path,
        format: str,
        episodes: Episodes,
        *,
        skip_bad: bool = True,
        grouping: Callable[[], str] | None = None,
        lacks: Mapping[str, str] | None = None,
        own: bool = False,
    ) -> None:
        """Wraps a reader.

        Args:
            path: the file.
            format: name of its format.
            episodes: starts reading the file.
            skip_bad: leave bad lines out; otherwise the first one raises.
            grouping: after an iteration, what makes two rollouts one group, e.g. "group from uid".
            lacks: part of an episode -> why this format does not hold it; see `absent.PARTS`.
            own: whether berrypick wrote the file.
        """
        self.path, self.format, self.own = path, format, own
        self._episodes, self._skip_bad, self._grouping, self._lacks = episodes, skip_bad, grouping, dict(lacks or {})
        self._start()

    def _start(self) -> None:
        self.skipped: list[str] = []
        self.num_skipped = self.num_rollouts = 0
        self._questions: set[str] = set()
        self._parts: set[str] = set()
        self.whole = Wholeness()

    def records(self) -> Iterator[EpisodeRecord]:
        """Yields the rollouts in the order of the file; memory does not grow with their number, but with its questions.

        Each call reads the file from its start.

        Raises:
            RecordError: the file holds no rollouts or cannot be read; with `skip_bad=False` also at the first bad line.
        """
        self._start()
        for episode in self._episodes(self.whole):
            if isinstance(episode, RecordError):
                if not self._skip_bad or isinstance(episode, NewerSchemaError):
                    raise episode
                self.num_skipped += 1
                if len(self.skipped) < MOST_REASONS:
                    self.skipped.append(str(episode))
                continue
            self.num_rollouts += 1
            self._questions.add(episode.question.id)
            self._parts |= parts_of(episode)
            yield episode
        if not self.num_rollouts:
            reason = f"; the first line that was left out: {self.skipped[0]}" if self.skipped else ""
            raise RecordError(f"{self.path}: no rollouts; give a file with one episode a line{reason}")

    @property
    def num_missing(self) -> int:
        """After an iteration, number of rollouts of the evaluation that are on no line, not even on a bad one."""
        return max(0, self.whole.num_missing - self.num_skipped)

    def notes(self) -> list[str]:
        """After an iteration, "FILE: ..." for each thing that the file lacks."""
        missing = self.whole.missing_text() if self.num_missing else ""
        return [f"{self.path}: {text}" for text in (missing, self.whole.unsealed_text()) if text]

    @property
    def absent(self) -> dict[str, str]:
        """Key of a measure -> why no rollout of this file can give it; complete after an iteration."""
        return absent_measures(self._parts, self._lacks)

    def summary(self) -> str:
        """One line after an iteration: "verl dump: 512 rollouts of 64 questions; group from uid"."""
        questions = counted(len(self._questions), "question")
        parts = [f"{self.format}: {counted(self.num_rollouts, 'rollout')} of {questions}"]
        parts += [grouping] if self._grouping and (grouping := self._grouping()) else []
        parts += [f"{counted(self.num_skipped, 'line')} left out"] if self.num_skipped else []
        return "; ".join(parts)
