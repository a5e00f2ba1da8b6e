"""Rollouts of an evaluation that goes on: whole questions, kept as they are played, named rollouts.jsonl at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...envs.questions import Question
from ...envs.record import EpisodeRecord, write_records
from ...retrieval_index.files import writing

__all__ = ["PARTIAL", "KeptRollouts"]

PARTIAL = ".rollouts.jsonl.partial"
_CURE = "free or mend that place, then go on with --resume"


class KeptRollouts:
    """The records in a folder's partial file; one process writes there at a time.

    Attributes:
        records: what was taken over: of the first questions, all samples of each.
    """

    def __init__(
        self, out: Path, questions: Sequence[Question], num_samples: int, facts: Mapping[str, Any], *, chunk: int = 1
    ) -> None:
        """Opens the folder, and takes over what an evaluation of the same settings left there.

        Where a kill cut a line or a chunk off, or records are of other settings, what stands from there on is dropped
        and the chunk is played as a whole, so that it is batched as if nothing had happened.

        Args:
            out: receives rollouts.jsonl.
            questions: all that will be asked, in order.
            num_samples: rollouts a question.
            facts: what the records of this evaluation say of themselves, e.g. {"seed": 0}.
            chunk: questions that are played at a time.
        """
        self._work, self._file = out / PARTIAL, out / "rollouts.jsonl"
        self.records: list[EpisodeRecord] = []
        with writing(self._work, _CURE):
            out.mkdir(parents=True, exist_ok=True)
            self._work.touch()
            size = self._take_over(questions, num_samples, facts, chunk)
            os.truncate(self._work, size)

    def add(self, records: Sequence[EpisodeRecord]) -> None:
        """Keeps all rollouts of the questions that follow."""
        with writing(self._work, _CURE):
            write_records(self._work, records)

    def finish(self) -> None:
        """Gives the file its name, once all questions are played."""
        with writing(self._file, _CURE):
            os.replace(self._work, self._file)

    def _take_over(self, questions: Sequence[Question], num_samples: int, facts: Mapping[str, Any], chunk: int) -> int:
        """Reads what can go on; returns its bytes."""
        lines = self._work.read_bytes().splitlines(keepends=True)
        wanted = [(question, sample) for question in questions for sample in range(num_samples)]
        found: list[EpisodeRecord] = []
        for line, (question, sample) in zip(lines, wanted):
            record = _whole(line)
            if record is None or not _is_of(record, question, sample, facts):
                break
            found.append(record)
        whole = len(found) // num_samples
        if len(found) < len(lines):
            whole -= whole % chunk
        self.records = found[: whole * num_samples]
        return sum(map(len, lines[: len(self.records)]))


def _whole(line: bytes) -> EpisodeRecord | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return EpisodeRecord.model_validate(json.loads(line))
    except (ValueError, ValidationError):
        return None


def _is_of(record: EpisodeRecord, question: Question, sample: int, facts: Mapping[str, Any]) -> bool:
    asked = record.question
    same = (asked.id, asked.text, tuple(asked.answers)) == (question.id, question.text, question.answers)
    return (
        same
        and record.sample_index == sample
        and all(getattr(record, name, None) == value for name, value in facts.items())
    )
