"""`berrypick convert`: rollouts of any known format to berrypick's or to ATIF, one by one."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...envs.importers import RolloutSource, atif_of, open_rollouts
from ...envs.record import EpisodeRecord, record_line
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.files import whole_file, writing
from ...retrieval_index.plain_text import counted, safe_text
from .rollout_flags import Convert
from .row_map import parse_row_map, source_text

__all__ = ["run_convert"]

_CURE = "free some space or give another --out"


def run_convert(flags: Convert) -> int:
    """Writes the new file; it appears whole or not at all."""
    if flags.out.exists() and (not flags.force or not flags.out.is_file()):
        raise BerrypickError(f"{flags.out} exists; give another --out, or --force to replace a file")
    source = open_rollouts(
        flags.rollouts, format=flags.format or None, mapping=parse_row_map(flags.map), skip_bad=not flags.strict
    )
    if flags.out.exists() and flags.out.samefile(flags.rollouts):
        raise BerrypickError(f"{flags.out} is the file that is converted; give another --out")
    number = _write(flags.out, source, flags.to)
    sys.stderr.write(source_text(source))
    sys.stdout.write(f"{counted(number, 'rollout')} in {safe_text(str(flags.out))}\n")
    return 0


def _write(out: Path, source: RolloutSource, to: str) -> int:
    number = 0
    with writing(out, _CURE), whole_file(out) as work, _opened(work, compressed=out.suffix == ".gz") as file:
        for record in source.records():
            file.write(_line(record, to))
            number += 1
    return number


@contextmanager
def _opened(path: Path, *, compressed: bool) -> Iterator[IO[bytes]]:
    """A new file; the same lines always give the same bytes."""
    with path.open("wb") as raw:
        if not compressed:
            yield raw
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
            yield file  # type: ignore[misc]


def _line(record: EpisodeRecord, to: str) -> bytes:
    """One line. Lone surrogates, which UTF-8 cannot encode, stay as the escapes they came as."""
    if to == "berrypick":
        line = record_line(record)
    else:
        line = json.dumps(atif_of(record), ensure_ascii=False) + "\n"
    try:
        return line.encode()
    except UnicodeEncodeError:
        value = json.loads(line) if to == "berrypick" else atif_of(record)
        return (json.dumps(value, sort_keys=to == "berrypick") + "\n").encode()
