"""rollouts.jsonl: one episode per line, in a versioned schema. Reports read only this, so they work on any rollouts."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..retrieval_index.corpus import CorpusError, jsonl_lines, jsonl_object
from ..retrieval_index.errors import BerrypickError
from ..retrieval_index.plain_text import encodable
from ..retrieval_index.sealed import SEAL, sealed_row, unsealed_row
from .record_schema import (
    SCHEMA_VERSION,
    EpisodeRecord,
    HitRecord,
    QuestionRecord,
    TokenRecord,
    TurnRecord,
    UsageRecord,
)
from .wholeness import Wholeness

__all__ = [
    "SCHEMA_VERSION",
    "EpisodeRecord",
    "HitRecord",
    "NewerSchemaError",
    "QuestionRecord",
    "RecordError",
    "SampleIndices",
    "TokenRecord",
    "TurnRecord",
    "UsageRecord",
    "iter_records",
    "parse_line",
    "parse_record",
    "read_lines",
    "read_records",
    "record_line",
    "write_records",
]


class RecordError(BerrypickError):
    """A line of a rollouts file that cannot be read; the message names file and line."""


class NewerSchemaError(RecordError):
    """A line that a newer berrypick wrote; it is never skipped, because upgrading reads it."""


def write_records(path: Path, records: Iterable[EpisodeRecord]) -> None:
    """Appends records, one line each. The same records always give the same bytes."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(map(record_line, records))


def record_line(record: EpisodeRecord) -> str:
    """The line of a record, with its digest and its line break.

    Lone surrogates, which UTF-8 cannot encode, become U+FFFD.
    """
    value = record.model_dump(exclude_none=True)
    value.pop(SEAL, None)
    return sealed_row(encodable(json.dumps(value, sort_keys=True, ensure_ascii=False))) + "\n"


_CURE = "fix the line, or leave such lines out (berrypick report without --strict)"
_CHANGED = (
    "the row was changed or damaged after it was written; restore it, leave such lines out (berrypick report without "
    f"--strict), or, if you changed it, drop the checksums: jq -c 'del(.{SEAL})'"
)


def read_records(path: Path, *, skipped: list[str] | None = None) -> list[EpisodeRecord]:
    """Reads all rollouts of a file into a list; see `iter_records`."""
    return list(iter_records(path, skipped=skipped))


def iter_records(path: Path, *, skipped: list[str] | None = None) -> Iterator[EpisodeRecord]:
    """Yields the rollouts of a file, plain or .gz, one at a time; only one line is in memory.

    Args:
        path: the file.
        skipped: if given, bad lines are left out and their messages are added to this list.

    Raises:
        RecordError: with file and line, for a line of another shape or of a newer schema, a number that is not finite,
            or a duplicate episode: each rollout of a group needs its own sample index. Also at the end of a file
            without rollouts.
    """
    found = False
    try:
        for record in read_lines(path, jsonl_lines(path)):
            if not isinstance(record, RecordError):
                found = True
                yield record
            elif skipped is None or isinstance(record, NewerSchemaError):
                raise record
            else:
                skipped.append(str(record))
    except CorpusError as error:
        raise RecordError(str(error)) from error
    if not found:
        raise RecordError(f"{path}: no rollouts; give a file with one episode a line")


def read_lines(
    path: Path, lines: Iterable[tuple[int, bytes]], whole: Wholeness | None = None
) -> Iterator[EpisodeRecord | RecordError]:
    """Reads numbered lines of a file; a line that cannot be used is an error in its place.

    Args:
        path: the file, for messages.
        lines: its lines with their numbers.
        whole: notes what the file lacks.
    """
    seen = SampleIndices()
    for number, line in lines:
        try:
            record, is_sealed = _parse(path, number, line)
            seen.add(f"{path}:{number}", number, record)
        except RecordError as error:
            yield error
        else:
            if whole is not None:
                whole.add(record, is_sealed=is_sealed)
            yield record


def parse_line(path: Path, number: int, line: bytes) -> EpisodeRecord:
    """Reads and checks a line.

    Raises:
        NewerSchemaError: the line was written by a newer berrypick.
        RecordError: the line is no JSON object or has another shape, a number is not finite, or its digest is wrong.
    """
    return _parse(path, number, line)[0]


def _parse(path: Path, number: int, line: bytes) -> tuple[EpisodeRecord, bool]:
    """The record of a line, and whether it has a digest.

    Pydantic reads JSON several times as fast as the standard library and then a validation. What it refuses is read
    again the slow way, which accepts a little more, such as lone surrogates, and whose messages name the place.
    """
    where = f"{path}:{number}"
    try:
        plain, is_sealed = unsealed_row(line)
    except ValueError as error:
        raise RecordError(f"{where}: {error}: {_CHANGED}") from error
    try:
        record = EpisodeRecord.model_validate_json(plain)
    except ValidationError:
        try:
            value = jsonl_object(path, number, plain, _CURE)
        except CorpusError as error:
            raise RecordError(str(error)) from error
        return parse_record(where, value), is_sealed
    return _checked(where, record), is_sealed


class SampleIndices:
    """The episodes seen so far; each rollout of a group and checkpoint needs its own sample index."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int, int | None], int] = {}

    def add(self, where: str, number: int, record: EpisodeRecord) -> None:
        """Notes an episode; raises `RecordError` if an earlier line has the same group, sample index and step."""
        key = sys.intern(record.group_id), record.sample_index, record.checkpoint_step
        line = self._lines.setdefault(key, number)
        if line != number:
            raise RecordError(
                f"{where}: sample {record.sample_index} of group {record.group_id} is a duplicate of line {line}; give "
                "each rollout of a group its own sample_index, or leave those that follow out (berrypick report "
                "without --strict)"
            )


def parse_record(where: str, line: dict[str, Any]) -> EpisodeRecord:
    """Checks the JSON object of a line.

    Args:
        where: file and line, for messages.
        line: the object.

    Raises:
        NewerSchemaError: the line was written by a newer berrypick.
        RecordError: the line has another shape, or a number that is not finite.
    """
    if _version(line) > SCHEMA_VERSION:
        raise NewerSchemaError(f"{where}: schema {line['schema_version']} is newer than this berrypick; upgrade it")
    try:
        record = EpisodeRecord.model_validate(line)
    except ValidationError as error:
        reason = error.errors()[0]
        place = ".".join(str(part) for part in reason["loc"])
        raise RecordError(
            f"{where}: {place}: {reason['msg']}; give a rollouts file of berrypick, or leave such lines out "
            "(berrypick report without --strict)"
        ) from error
    return _checked(where, record)


def _checked(where: str, record: EpisodeRecord) -> EpisodeRecord:
    if record.schema_version > SCHEMA_VERSION:
        raise NewerSchemaError(f"{where}: schema {record.schema_version} is newer than this berrypick; upgrade it")
    for name, values in _numbers(record):
        if not all(map(math.isfinite, values)):
            raise RecordError(f"{where}: {name} is not a finite number; {_CURE}")
    return record


def _version(line: dict[str, Any]) -> int:
    try:
        return int(line.get("schema_version", 0))
    except (ValueError, TypeError, OverflowError):
        return 0  # reading the line refuses it, with file and line number


def _numbers(record: EpisodeRecord) -> Iterator[tuple[str, Sequence[float]]]:
    """Every number of a record that a measure uses, with its name."""
    for name in ("reward", "em", "sub_em", "f1", "evidence_recall"):
        if (value := getattr(record, name)) is not None:
            yield name, (value,)
    for vector in record.reward_vectors or ():
        yield "reward_vectors", vector
    for turn in record.turns:
        if turn.tokens is not None:
            yield "log_probs", turn.tokens.log_probs
            yield "entropies", turn.tokens.entropies
