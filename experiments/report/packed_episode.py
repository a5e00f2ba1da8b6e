"""Episodes for a page in little memory: a tenth of what a record takes."""

from __future__ import annotations

import marshal
import zlib
from typing import NamedTuple, TypeAlias

from ...envs.record import EpisodeRecord, QuestionRecord

__all__ = ["PackedEpisode", "PageEpisode", "PageTurn", "turns_of"]


class PageTurn(NamedTuple):
    """What a page shows of a turn; see `TurnRecord`. `hits` holds the ids of the passages of each query."""

    text: str
    action: str
    queries: list[str]
    hits: list[list[str]]
    observation: str
    error: str | None


class PackedEpisode:
    """What a page shows of an episode; attributes of the same name mean what they mean in `EpisodeRecord`.

    Args:
        record: the episode. Its question is kept as it is, so that episodes of one question can share it.
    """

    __slots__ = ("_turns", "answer_raw", "checkpoint_step", "em", "question", "reward", "sample_index", "size")

    def __init__(self, record: EpisodeRecord) -> None:
        self.question: QuestionRecord = record.question
        self.sample_index, self.checkpoint_step = record.sample_index, record.checkpoint_step
        self.em, self.reward, self.answer_raw = record.em, record.reward, record.answer_raw
        turns = turns_of(record)
        self.size = sum(len(turn.text) + len(turn.observation) for turn in turns)
        self._turns = zlib.compress(marshal.dumps([tuple(turn) for turn in turns]), 1)

    def unpacked(self) -> list[PageTurn]:
        """The turns."""
        return [PageTurn(*turn) for turn in marshal.loads(zlib.decompress(self._turns))]


PageEpisode: TypeAlias = EpisodeRecord | PackedEpisode
"""An episode that a page can show."""


def turns_of(episode: PageEpisode) -> list[PageTurn]:
    """The turns of an episode, as a page shows them."""
    if isinstance(episode, PackedEpisode):
        return episode.unpacked()
    return [
        PageTurn(
            turn.text,
            turn.action,
            turn.queries,
            [[hit.id for hit in ranking] for ranking in turn.hits],
            turn.observation,
            turn.error,
        )
        for turn in episode.turns
    ]
