"""berrypick's own rollouts.jsonl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...retrieval_index.sealed import SEAL
from ..record import EpisodeRecord, RecordError, parse_record, read_lines
from ..wholeness import Wholeness
from .files import Row, lines
from .registry import Importer

__all__ = ["OWN", "own_episodes"]


def _read(row: Row) -> EpisodeRecord:
    """Reads a row of a list or a table, which were written by another program: its digest says nothing there."""
    return parse_record("a row", {name: value for name, value in row.items() if name != SEAL})


_FIELDS = {"group_id", "sample_index", "turns"}

OWN = Importer(
    "berrypick",
    "berrypick rollouts",
    _read,
    lambda row: len(_FIELDS & row.keys()) + isinstance(row.get("question"), dict) >= 2,
    summary="berrypick's own `rollouts.jsonl`",
    gives="everything, as far as the policy has it",
    lacks={},
)
"""The format of this package; it is no entry of the registry, because it is tried first."""


def own_episodes(path: Path, whole: Wholeness) -> Iterator[EpisodeRecord | RecordError]:
    """Reads the file line by line; a line that cannot be used is an error in its place.

    Args:
        path: the file.
        whole: notes what the file lacks.
    """
    return read_lines(path, lines(path), whole)
