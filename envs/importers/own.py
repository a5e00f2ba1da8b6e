"""berrypick's own rollouts.jsonl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..record import EpisodeRecord, RecordError, SampleIndices, parse_record
from .files import json_objects

__all__ = ["NAME", "own_episodes"]

NAME = "berrypick rollouts"


def own_episodes(path: Path) -> Iterator[EpisodeRecord | RecordError]:
    """Reads the file line by line; a line that cannot be used is an error in its place."""
    seen = SampleIndices()
    for number, line in json_objects(path):
        if isinstance(line, RecordError):
            yield line
            continue
        where = f"{path}:{number}"
        try:
            record = parse_record(where, line)
            seen.add(where, number, record)
        except RecordError as error:
            yield error
        else:
            yield record
