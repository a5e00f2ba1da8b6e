"""`berrypick convert`: rollouts of any known format to that of another tool, one by one."""

from __future__ import annotations

import gzip
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ...envs.exporters import log_lines, qrels_lines, run_lines
from ...envs.importers import RolloutSource, atif_of, open_rollouts
from ...envs.record import record_line
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
    if flags.to == "inspect" and flags.out.suffix != ".json":
        raise BerrypickError(
            f"Inspect reads a log only from a file whose name ends with .json; give --out {_json(flags.out)}"
        )
    source = open_rollouts(
        flags.rollouts, format=flags.format or None, mapping=parse_row_map(flags.map), skip_bad=not flags.strict
    )
    if flags.out.exists() and flags.out.samefile(flags.rollouts):
        raise BerrypickError(f"{flags.out} is the file that is converted; give another --out")
    number = _write(flags.out, source, flags.to)
    sys.stderr.write(source_text(source))
    sys.stdout.write(f"{counted(number, 'rollout')} in {safe_text(str(flags.out))}\n")
    return 0


def _json(out: Path) -> str:
    return shlex.quote(str(out.with_suffix(".json")))


def _write(out: Path, source: RolloutSource, to: str) -> int:
    with writing(out, _CURE), whole_file(out) as work, _opened(work, compressed=out.suffix == ".gz") as file:
        file.writelines(_WRITERS[to](source))
    return source.num_rollouts


@contextmanager
def _opened(path: Path, *, compressed: bool) -> Iterator[IO[bytes]]:
    """A new file; the same lines always give the same bytes."""
    with path.open("wb") as raw:
        if not compressed:
            yield raw
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
            yield file  # type: ignore[misc]


def _own(source: RolloutSource) -> Iterator[bytes]:
    yield from (record_line(record).encode() for record in source.records())


def _atif(source: RolloutSource) -> Iterator[bytes]:
    """One line per rollout. Lone surrogates, which UTF-8 cannot encode, stay as the escapes they came as."""
    for record in source.records():
        trajectory = atif_of(record)
        try:
            yield (json.dumps(trajectory, ensure_ascii=False) + "\n").encode()
        except UnicodeEncodeError:
            yield (json.dumps(trajectory) + "\n").encode()


def _inspect(source: RolloutSource) -> Iterator[bytes]:
    """One log. It is dated as the file it was made of, so that equal files give equal logs."""
    made = datetime.fromtimestamp(int(source.path.stat().st_mtime), UTC)
    yield from (line.encode() for line in log_lines(source.records, created=made.isoformat()))


def _run(source: RolloutSource) -> Iterator[bytes]:
    return _some(run_lines(source.records()), source, _NO_PASSAGES)


def _qrels(source: RolloutSource) -> Iterator[bytes]:
    return _some(qrels_lines(source.records()), source, _NO_EVIDENCE)


_NO_PASSAGES = "no rollout lists the passages that a query was shown; give one that does"
_NO_EVIDENCE = "no searched question has evidence; give rollouts whose questions have it"


def _some(lines: Iterable[str], source: RolloutSource, otherwise: str) -> Iterator[bytes]:
    """The lines; an error if there is none."""
    found = False
    for line in lines:
        found = True
        yield line.encode()
    if not found:
        raise BerrypickError(f"{source.path}: {otherwise}")


_WRITERS: Mapping[str, Callable[[RolloutSource], Iterator[bytes]]] = {
    "berrypick": _own,
    "atif": _atif,
    "inspect": _inspect,
    "trec": _run,
    "qrels": _qrels,
}
