"""rollouts.jsonl: one episode per line, in a versioned schema. Reports read only this, so they work on any rollouts."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..retrieval_index.corpus import CorpusError, jsonl_lines, jsonl_object
from ..retrieval_index.errors import BerrypickError

__all__ = [
    "SCHEMA_VERSION",
    "EpisodeRecord",
    "HitRecord",
    "NewerSchemaError",
    "QuestionRecord",
    "RecordError",
    "TokenRecord",
    "TurnRecord",
    "iter_records",
    "read_records",
    "write_records",
]

SCHEMA_VERSION = 1


class RecordError(BerrypickError):
    """A line of a rollouts file that cannot be read; the message names file and line."""


class NewerSchemaError(RecordError):
    """A line that a newer berrypick wrote; it is never skipped, because upgrading reads it."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow")


class TokenRecord(_Row):
    """Sampled tokens of a turn, lists of equal length; entropies and log-probabilities are nats at temperature 1."""

    ids: list[int]
    log_probs: list[float]
    entropies: list[float]
    char_starts: list[int]


class HitRecord(_Row):
    """A passage that was shown."""

    id: str
    score: float


class TurnRecord(_Row):
    """One turn and the observation that answered it."""

    text: str
    action: Literal["search", "answer", "invalid"]
    queries: list[str] = Field(default_factory=list)  # pydantic copies a default list, which takes longer
    query_spans: list[tuple[int, int]] = Field(default_factory=list)
    hits: list[list[HitRecord]] = Field(default_factory=list)
    observation: str = ""
    error: str | None = None
    stopped_by: str = "tag"
    tokens: TokenRecord | None = None


class QuestionRecord(_Row):
    """The question; `evidence` is [path][hop] -> sorted passage ids."""

    id: str
    text: str
    answers: list[str]
    evidence: list[list[list[str]]] = []
    split: str = ""
    metadata: dict[str, Any] = {}


class EpisodeRecord(_Row):
    """One episode. Unknown fields are preserved."""

    schema_version: int = SCHEMA_VERSION
    run_id: str = ""
    policy_id: str = ""
    checkpoint_step: int | None = None
    template_hash: str = ""
    index_id: str = ""
    lexical: bool | None = None
    spec: dict[str, Any] | None = None
    env_id: str = ""
    question: QuestionRecord
    group_id: str
    sample_index: int
    seed: int = 0
    temperature: float = 1.0
    turns: list[TurnRecord]
    answer_raw: str | None = None
    answer_norm: str | None = None
    em: float | None = None
    sub_em: float | None = None
    f1: float | None = None
    evidence_recall: float | None = None
    hop_hits: list[list[bool]] = []
    reward: float | None = None
    reward_vectors: list[list[float]] | None = None
    reward_names: list[str] | None = None
    policy_tokens: int | None = None
    env_tokens: int | None = None
    observation_limit: str | None = None
    terminated: bool = True
    truncated: bool = False
    unknown: list[str] | None = None

    def knows(self, part: str) -> bool:
        """Whether the log told this part of the episode: "queries", "passages" or "turns"."""
        return part not in (self.unknown or ())

    @property
    def queries(self) -> list[str]:
        """Queries that were searched, in order."""
        return [
            query for turn in self.turns if turn.action == "search" and turn.error is None for query in turn.queries
        ]

    @property
    def shown_ids(self) -> frozenset[str]:
        """Ids of all passages shown."""
        return frozenset(hit.id for turn in self.turns for ranking in turn.hits for hit in ranking)

    @property
    def hits_recorded(self) -> bool:
        """Whether every search that was answered lists its passages; others' rollouts often lack them."""
        return self.knows("passages") and all(
            turn.hits for turn in self.turns if turn.action == "search" and turn.error is None and turn.queries
        )

    @property
    def evidence_sets(self) -> tuple[tuple[frozenset[str], ...], ...]:
        """[path][hop] -> ids that satisfy the hop."""
        return tuple(tuple(frozenset(hop) for hop in path) for path in self.question.evidence)


def write_records(path: Path, records: Iterable[EpisodeRecord]) -> None:
    """Appends records, one line each. The same records always give the same bytes."""
    with path.open("a", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record.model_dump(exclude_none=True), sort_keys=True, ensure_ascii=False) + "\n")


_CURE = "fix the line, or leave such lines out with berrypick report --skip-bad"


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
    places: dict[tuple[str, int], int] = {}
    try:
        for number, line in jsonl_lines(path):
            try:
                record = _read(path, number, line)
                place = places.setdefault((sys.intern(record.group_id), record.sample_index), number)
                if place != number:
                    raise RecordError(
                        f"{path}:{number}: sample {record.sample_index} of group {record.group_id} is a duplicate of "
                        f"line {place}; give each rollout of a group its own sample_index, or leave those that "
                        "follow out with berrypick report --skip-bad"
                    )
            except NewerSchemaError:
                raise
            except (RecordError, CorpusError) as error:
                if skipped is None:
                    raise
                skipped.append(str(error))
                continue
            yield record
    except CorpusError as error:
        raise RecordError(str(error)) from error
    if not places:
        raise RecordError(f"{path}: no rollouts; give a file with one episode a line")


def _read(path: Path, number: int, line: bytes) -> EpisodeRecord:
    """Parses a line.

    Pydantic reads JSON several times as fast as the standard library and then a validation. What it refuses is read
    again the slow way, which accepts a little more, such as lone surrogates, and whose messages name the place.
    """
    try:
        record = EpisodeRecord.model_validate_json(line)
    except ValidationError:
        value = jsonl_object(path, number, line, _CURE)
        if _version(value) > SCHEMA_VERSION:
            raise _newer(path, number, value["schema_version"]) from None
        record = _record(path, number, value)
    if record.schema_version > SCHEMA_VERSION:
        raise _newer(path, number, record.schema_version)
    for name, values in _numbers(record):
        if not all(map(math.isfinite, values)):
            raise RecordError(f"{path}:{number}: {name} is not a finite number; {_CURE}")
    return record


def _newer(path: Path, number: int, version: object) -> NewerSchemaError:
    return NewerSchemaError(f"{path}:{number}: schema {version} is newer than this berrypick; upgrade it")


def _version(line: dict[str, Any]) -> int:
    try:
        return int(line.get("schema_version", 0))
    except (ValueError, TypeError, OverflowError):
        return 0  # reading the line refuses it, with file and line number


def _record(path: Path, number: int, line: dict[str, Any]) -> EpisodeRecord:
    try:
        return EpisodeRecord.model_validate(line)
    except ValidationError as error:
        reason = error.errors()[0]
        where = ".".join(str(part) for part in reason["loc"])
        raise RecordError(
            f"{path}:{number}: {where}: {reason['msg']}; give a rollouts file of berrypick, or leave such lines out "
            "with berrypick report --skip-bad"
        ) from error


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
