"""A bounded number of whole episodes, for pages that show them; all others are measured and forgotten."""

from __future__ import annotations

from bisect import insort

from ...envs.record import EpisodeRecord
from .packed_episode import PackedEpisode

__all__ = ["PAGE_CHARS", "EpisodeSample"]

PAGE_CHARS = 40_000_000
"""Characters of the episodes that are kept for a page: several times what it shows, as equal texts are shown once."""

_CHARS_OF_AN_EPISODE = 200
"""What an episode takes beside its texts."""

_MOST_OF_A_QUESTION = 64
"""Episodes of one question and one checkpoint step."""


class EpisodeSample:
    """Keeps the episodes of the questions whose ids come first in alphabetical order.

    Args:
        most_chars: length of all kept episodes; those of the first question are kept in any case.

    Attributes:
        chars: length of the kept episodes.
    """

    def __init__(self, most_chars: int) -> None:
        self._most = most_chars
        self.chars = 0
        self._kept: dict[str, list[PackedEpisode]] = {}
        self._names: list[str] = []
        self._end: str | None = None

    def add(self, record: EpisodeRecord) -> None:
        """Keeps the episode, if its question is among the first so far."""
        name = record.question.id
        if not self._most or (self._end is not None and name >= self._end):
            return  # this question was dropped before, or comes after one that was
        if name not in self._kept:
            self._kept[name] = []
            insort(self._names, name)
        same = sum(other.checkpoint_step == record.checkpoint_step for other in self._kept[name])
        if same < _MOST_OF_A_QUESTION:
            packed = PackedEpisode(record)
            self._kept[name].append(packed)
            self.chars += _length(packed)
        while self.chars > self._most and len(self._names) > 1:
            self._end = self._names.pop()
            self.chars -= sum(map(_length, self._kept.pop(self._end)))

    @property
    def episodes(self) -> list[PackedEpisode]:
        """The episodes, by question."""
        return [record for name in self._names for record in self._kept[name]]


def _length(episode: PackedEpisode) -> int:
    return _CHARS_OF_AN_EPISODE + episode.size
