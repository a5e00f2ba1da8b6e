"""Rollouts of an evaluation: saved as they are played, renamed rollouts.jsonl at the end, read again when resumed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...envs.importers import open_rollouts
from ...envs.questions import Question
from ...envs.record import EpisodeRecord, RecordError, parse_line, write_records
from ...retrieval_index.files import fsync, writing

__all__ = ["PARTIAL", "PartialRollouts", "finished_rollouts"]

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
        """Appends all rollouts of the next questions and waits until they are on the disk."""
        with writing(self._work, _CURE):
            write_records(self._work, records)
            fsync(self._work)

    def finish(self) -> None:
        """Renames the file to rollouts.jsonl, after the last question; a report that refers to it is written later."""
        with writing(self._file, _CURE):
            os.replace(self._work, self._file)
            fsync(self._file.parent)

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


def finished_rollouts(file: Path) -> list[EpisodeRecord]:
    """Reads the rollouts that an earlier call of this command has finished.

    Raises:
        RecordError: a line is damaged, or rollouts of the evaluation are missing: the file was cut.
    """
    cure = f"restore the file, or remove {file} and play it again with --resume"
    try:
        source = open_rollouts(file, format="berrypick", skip_bad=False)
        records = list(source.records())
    except RecordError as error:
        raise RecordError(f"{error}; {cure}") from error
    if source.num_missing:
        raise RecordError(f"{file}: {source.whole.missing_text()}; {cure}")
    return records


def _parse(line: bytes) -> EpisodeRecord | None:
    """The record of a line; None if the line is cut off or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        return parse_line(Path(PARTIAL), 0, line)
    except RecordError:
        return None


def _matches(record: EpisodeRecord, question: Question, sample: int, facts: Mapping[str, object]) -> bool:
    asked = record.question
    same = (asked.id, asked.text, tuple(asked.answers)) == (question.id, question.text, question.answers)
    return (
        same
        and record.sample_index == sample
        and all(getattr(record, name, None) == value for name, value in facts.items() if name != "num_rollouts")
        and record.num_rollouts in (None, facts.get("num_rollouts"))  # None: an earlier berrypick played it
    )
