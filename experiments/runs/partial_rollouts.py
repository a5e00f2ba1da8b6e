"""Rollouts of an unfinished evaluation: saved as they are played, renamed rollouts.jsonl at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from ...envs.questions import Question
from ...envs.record import EpisodeRecord, write_records
from ...retrieval_index.files import writing

__all__ = ["PARTIAL", "PartialRollouts"]

PARTIAL = ".rollouts.jsonl.partial"
_CURE = "free some space or fix that path, then continue with --resume"


class PartialRollouts:
    """The records in a folder's partial file. Only one process may write there at a time.

    Attributes:
        records: records taken over from an earlier call: all samples of each of the first questions.
    """

    def __init__(
        self, out: Path, questions: Sequence[Question], num_samples: int, facts: Mapping[str, object], *, chunk: int = 1
    ) -> None:
        """Opens the folder and takes over what an evaluation with the same settings left there.

        A kill can cut off a line or a chunk, and the folder can hold records of other settings. Everything from the
        first such record on is dropped. The chunk it is in is played again as a whole, so that its episodes are batched
        as in an evaluation that was never stopped.

        Args:
            out: receives rollouts.jsonl.
            questions: all questions of the evaluation, in order.
            num_samples: rollouts per question.
            facts: fields that all records of this evaluation share, e.g. {"seed": 0}.
            chunk: number of questions that are played at a time.
        """
        self._work, self._file = out / PARTIAL, out / "rollouts.jsonl"
        self.records: list[EpisodeRecord] = []
        with writing(self._work, _CURE):
            out.mkdir(parents=True, exist_ok=True)
            self._work.touch()
            size = self._take_over(questions, num_samples, facts, chunk)
            os.truncate(self._work, size)

    def add(self, records: Sequence[EpisodeRecord]) -> None:
        """Appends all rollouts of the next questions."""
        with writing(self._work, _CURE):
            write_records(self._work, records)

    def finish(self) -> None:
        """Renames the file to rollouts.jsonl, after the last question."""
        with writing(self._file, _CURE):
            os.replace(self._work, self._file)

    def _take_over(
        self, questions: Sequence[Question], num_samples: int, facts: Mapping[str, object], chunk: int
    ) -> int:
        """Reads the records that can stay; returns their size in bytes."""
        lines = self._work.read_bytes().splitlines(keepends=True)
        expected = [(question, sample) for question in questions for sample in range(num_samples)]
        found: list[EpisodeRecord] = []
        for line, (question, sample) in zip(lines, expected):
            record = _parse(line)
            if record is None or not _matches(record, question, sample, facts):
                break
            found.append(record)
        num_questions = len(found) // num_samples
        if len(found) < len(lines):
            num_questions -= num_questions % chunk
        self.records = found[: num_questions * num_samples]
        return sum(map(len, lines[: len(self.records)]))


def _parse(line: bytes) -> EpisodeRecord | None:
    """The record of a line; None if the line is cut off or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        return EpisodeRecord.model_validate(json.loads(line))
    except (ValueError, ValidationError):
        return None


def _matches(record: EpisodeRecord, question: Question, sample: int, facts: Mapping[str, object]) -> bool:
    asked = record.question
    same = (asked.id, asked.text, tuple(asked.answers)) == (question.id, question.text, question.answers)
    return (
        same
        and record.sample_index == sample
        and all(getattr(record, name, None) == value for name, value in facts.items())
    )
