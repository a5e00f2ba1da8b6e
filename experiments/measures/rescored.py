"""Stored rollouts under another reward or other right answers: the new records, and what changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np

from ...envs.data.answer_keys import KeyedQuestion
from ...envs.metrics.statistics import bootstrap_means
from ...envs.record import EpisodeRecord
from ...envs.rescoring import NotScoredError, rescore
from ...envs.rewards import parse_reward
from ...retrieval_index.errors import BerrypickError
from .rows import EstimateRow, estimate_row

__all__ = ["ChangeRow", "FlipRow", "RescoreReport", "Rescoring"]

SCORES = ("reward", "em", "f1", "sub_em", "evidence_recall")
"""The fields of a record that are computed again."""

EXAMPLES = 5
"""Flipped rollouts that the report shows."""


class ChangeRow(TypedDict):
    """The means of one score before and after.

    Attributes:
        old: mean of the recorded values; None if no rollout has one.
        new: mean of the new values; None if no rollout has one.
        num_old: rollouts with a recorded value.
        num_new: rollouts with a new value.
        difference: new - old over questions, of the rollouts that have both, with its interval; None without any.
    """

    old: float | None
    new: float | None
    num_old: int
    num_new: int
    difference: EstimateRow | None


class FlipRow(TypedDict):
    """A rollout that was right and is now wrong, or the other way round."""

    question: str
    sample: int
    now: str
    answer: str | None
    answers: list[str]


class RescoreReport(TypedDict):
    """What a rescoring changed.

    Attributes:
        scores: name of a score -> its means.
        to_right: rollouts whose exact match was 0 and is 1.
        to_wrong: rollouts whose exact match was 1 and is 0.
        examples: the first flipped rollouts.
        not_scored: why rollouts have no reward and were left out -> how many.
        questions_in_file: questions of the file of answers; 0 without one.
        questions_replaced: questions of the rollouts whose answers were replaced.
    """

    num_episodes: int
    scores: dict[str, ChangeRow]
    to_right: int
    to_wrong: int
    examples: list[FlipRow]
    not_scored: dict[str, int]
    questions_in_file: int
    questions_replaced: int


@dataclass
class _Sums:
    """Sums of one score: over all rollouts that have it, and of differences for each question."""

    old: float = 0.0
    new: float = 0.0
    num_old: int = 0
    num_new: int = 0
    by_question: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0]))

    def add(self, question: str, old: float | None, new: float | None) -> None:
        if old is not None:
            self.old, self.num_old = self.old + old, self.num_old + 1
        if new is not None:
            self.new, self.num_new = self.new + new, self.num_new + 1
        if old is not None and new is not None:
            pair = self.by_question[question]
            pair[0], pair[1] = pair[0] + new - old, pair[1] + 1

    def row(self) -> ChangeRow:
        changes = np.array([total / count for _, (total, count) in sorted(self.by_question.items())])
        return {
            "old": self.old / self.num_old if self.num_old else None,
            "new": self.new / self.num_new if self.num_new else None,
            "num_old": self.num_old,
            "num_new": self.num_new,
            "difference": estimate_row(bootstrap_means({"": changes})[""]) if len(changes) else None,
        }


class Rescoring:
    """Rescores a stream of records once and keeps what changed; memory grows with questions, not with rollouts.

    Args:
        spec: the reward, e.g. "f1 - 0.01*queries".
        keys: question id -> right answers that replace the recorded ones.

    Raises:
        BerrypickError: the reward is no sum of known terms.
    """

    def __init__(self, spec: str, keys: Mapping[str, KeyedQuestion] | None = None) -> None:
        self._spec, self._reward, self._keys = spec, parse_reward(spec), keys or {}
        self._sums = {name: _Sums() for name in SCORES}
        self._flips: Counter[str] = Counter()
        self._examples: list[FlipRow] = []
        self._not_scored: Counter[str] = Counter()
        self._replaced: set[str] = set()
        self._count = 0

    def records(self, records: Iterable[EpisodeRecord]) -> Iterator[EpisodeRecord]:
        """Yields the rescored records; those that lack what the reward needs are left out and counted.

        Raises:
            BerrypickError: an id of the file stands for another question, or no rollout could be scored.
        """
        written = False
        for record in records:
            self._count += 1
            keyed = self._keys.get(record.question.id)
            if keyed is not None:
                _check_same_question(record, keyed)
                self._replaced.add(record.question.id)
            try:
                scored = rescore(record, self._reward, self._spec, None if keyed is None else keyed.key)
            except NotScoredError as error:
                self._not_scored[str(error)] += 1
                continue
            self._compare(record, scored)
            written = True
            yield scored
        if self._keys and not self._replaced:
            raise BerrypickError("no question of --questions is in these rollouts; compare the ids of both files")
        if not written:
            reason = self._not_scored.most_common(1)[0][0]
            raise BerrypickError(f"no rollout can be scored: {reason}; or choose another --reward")

    def _compare(self, old: EpisodeRecord, new: EpisodeRecord) -> None:
        for name, sums in self._sums.items():
            sums.add(old.question.id, getattr(old, name), getattr(new, name))
        if old.em is None or new.em is None or (old.em == 1) == (new.em == 1):
            return
        now = "right" if new.em == 1 else "wrong"
        self._flips[now] += 1
        if len(self._examples) < EXAMPLES:
            self._examples.append(
                {
                    "question": old.question.id,
                    "sample": old.sample_index,
                    "now": now,
                    "answer": old.answer_raw,
                    "answers": list(new.question.answers),
                }
            )

    def report(self) -> RescoreReport:
        """What changed; call it after the last record."""
        return {
            "num_episodes": self._count,
            "scores": {name: sums.row() for name, sums in self._sums.items()},
            "to_right": self._flips["right"],
            "to_wrong": self._flips["wrong"],
            "examples": self._examples,
            "not_scored": dict(self._not_scored),
            "questions_in_file": len(self._keys),
            "questions_replaced": len(self._replaced),
        }


def _check_same_question(record: EpisodeRecord, keyed: KeyedQuestion) -> None:
    if keyed.text is not None and keyed.text.split() != record.question.text.split():
        raise BerrypickError(
            f"question {record.question.id} is another question in --questions ({keyed.text[:60]!r} and "
            f"{record.question.text[:60]!r}); give the questions that these rollouts answered"
        )
