"""Replays the episodes of a rollouts file: demonstrations of your own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...envs.answers import normalize
from ...envs.episode import Draft, Episode
from ...envs.formats.turn_format import Answer, Search, get_turn_format
from ...envs.importers.opening import open_rollouts
from ...envs.questions import EpisodeSpec, Question
from ...envs.record_schema import EpisodeRecord
from ...retrieval_index.corpus import Passage
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text
from ..policy import Sampling
from .reading import Reader, plain_observation
from .turns import check_format, written

__all__ = ["RecordedPolicy", "open_recorded"]

_NOT_SHOWN = "answer not in the text shown"


@dataclass(frozen=True, slots=True)
class RecordedPolicy:
    """A demonstrator that takes the turns of recorded episodes. Its searches are made anew, in the corpus of the run.

    Attributes:
        policy_id: "file:PATH".
        episodes: question id, or normalised text of the question -> its recorded episodes.
        ways: the most recorded episodes of a question that are used, all of them.
        number: which of a question's episodes it plays.
        named: ids of the passages that the file names, if berrypick wrote it.
    """

    policy_id: str
    episodes: Mapping[str, Sequence[EpisodeRecord]]
    ways: int
    named: frozenset[str] = frozenset()
    number: int = 0
    exact_tokens: bool = False
    reasons: tuple[str, ...] = ("not in the file", "invalid turn", "no answer", "wrong answer", _NOT_SHOWN)

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> _RecordedSession:
        """Opens a session with one row per question; a question without an episode answers nothing."""
        check_format(spec.turn_format)
        return _RecordedSession([_turns(self._episode(question), spec.turn_format) for question in questions])

    def variants(self) -> list[RecordedPolicy]:
        """One policy for each number that an episode of a question has."""
        return [replace(self, number=number) for number in range(self.ways)]

    def why_not(self, episode: Episode) -> str:
        """Why an episode is no demonstration; "" if it is one."""
        if self._episode(episode.question) is None:
            return self.reasons[0]
        if episode.num_invalid:
            return self.reasons[1]
        if episode.answer is None:
            return self.reasons[2]
        if not episode.correct:
            return self.reasons[3]
        shown = [plain_observation(turn.observation) for turn in episode.turns]
        return "" if Reader(episode.question, shown).answer() is not None else self.reasons[4]

    def check_corpus(self, passages: Iterable[Passage]) -> None:
        """Refuses a file that names passages which the corpus does not have.

        Raises:
            BerrypickError: some passages are missing.
        """
        known = {passage.id for passage in passages}
        missing = sorted(self.named - known) if known else []
        if missing:
            raise BerrypickError(
                f"{self.policy_id}: {len(missing)} of its {len(self.named)} passages are not in the corpus of this "
                f"environment, the first {safe_text(missing[0])}; give the data that it was recorded with"
            )

    def _episode(self, question: Question) -> EpisodeRecord | None:
        found = self.episodes.get(question.id) or self.episodes.get(normalize(question.text)) or ()
        return found[self.number] if self.number < len(found) else None


def open_recorded(name: str) -> RecordedPolicy:
    """The demonstrator of "file:PATH", a rollouts file of berrypick or of another system.

    Raises:
        RecordError: the file cannot be read, or its format is not known.
    """
    path = Path(name.removeprefix("file:"))
    source = open_rollouts(path)
    episodes: dict[str, list[EpisodeRecord]] = {}
    named = set[str]()
    for record in source.records():
        for key in {record.question.id, normalize(record.question.text)}:
            episodes.setdefault(key, []).append(record)
        if source.own:
            named |= record.shown_ids
    return RecordedPolicy(name, episodes, max(map(len, episodes.values()), default=1), frozenset(named))


def _turns(record: EpisodeRecord | None, turn_format: str) -> list[str]:
    """The turns as they were written, if the format reads them so; otherwise their searches and answer in its words."""
    if record is None:
        return []
    out = []
    for turn in record.turns:
        action = get_turn_format(turn_format).parse(turn.text)
        if turn.action == "search" and turn.queries:
            same = isinstance(action, Search) and list(action.queries) == turn.queries
            out.append(turn.text if same else written(turn_format, "search", " ".join(turn.queries[0].split())))
        elif turn.action == "answer" and not isinstance(action, Answer):
            out.append(written(turn_format, "answer", record.answer_raw or turn.text))
        else:
            out.append(turn.text)
    return out


@dataclass(slots=True)
class _RecordedSession:
    rows: list[list[str]]

    def act(self, rows: Sequence[int]) -> list[Draft]:
        return [Draft(self.rows[row].pop(0) if self.rows[row] else "") for row in rows]

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        pass

    def finish(self, rows: Sequence[int]) -> None:
        pass

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        raise BerrypickError("recorded turns have no tokens, so they cannot be trained; use a language model")
