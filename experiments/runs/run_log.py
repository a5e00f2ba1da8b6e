"""The logs of a training run: one row per step, on the disk before the checkpoints that refer to them."""

from __future__ import annotations

import hashlib
import json
import re
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...retrieval_index.data_files import numbered_lines
from ...retrieval_index.errors import BerrypickError, system_reason
from ...retrieval_index.files import fsync, writing
from ...retrieval_index.json_text import parse_json
from ...retrieval_index.sealed import SEAL, sealed_row, unsealed_row

__all__ = ["RunLog", "read_rows"]

_WHOLE_DIGEST = re.compile(rf'"{SEAL}": "[0-9a-f]{{64}}"}}'.encode())


def read_rows(log: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl: "phase" is a text, all other values are numbers; [] if there is no such file.

    A row of a phase has its "step".

    A last line that a kill has cut off, which has neither line break nor a whole digest, is left out.

    Raises:
        BerrypickError: the file cannot be read, or a line is no such row or has the wrong digest.
    """
    rows: list[dict[str, Any]] = []
    if not log.is_file():
        return rows
    try:
        for number, line in numbered_lines(log):
            try:
                row = parse_json(unsealed_row(line)[0])
            except ValueError as error:
                if not line.endswith(b"\n") and not _WHOLE_DIGEST.search(line):
                    break
                raise _damaged(log, number) from error
            if not isinstance(row, dict) or not all(map(_fits, row, row.values())):
                raise _damaged(log, number)
            if "phase" in row and "step" not in row:
                raise _damaged(log, number)
            rows.append(row)
    except (OSError, EOFError, zlib.error) as error:
        raise BerrypickError(f"cannot read {log}: {system_reason(error)}; restore it") from error
    return rows


def _fits(name: str, value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return isinstance(value, str) if name == "phase" else number or value != value


def _damaged(log: Path, number: int) -> BerrypickError:
    return BerrypickError(f"{log}:{number} is damaged: no row of a training log; restore the file")


class RunLog:
    """The two logs of a training run, one row per step in each.

    metrics.jsonl depends only on configuration and code, so runs can be compared byte by byte. Seconds per step differ
    between any two runs, so they have a file of their own, timings.jsonl.
    """

    def __init__(self, out: Path) -> None:
        self.metrics_path = out / "metrics.jsonl"
        self._timings_path = out / "timings.jsonl"
        self._last = time.perf_counter()

    @property
    def size(self) -> int:
        """Bytes of metrics.jsonl. A checkpoint stores this, and resuming cuts the file back to it."""
        return self.metrics_path.stat().st_size if self.metrics_path.exists() else 0

    def write(self, phase: str, step: int, metrics: dict[str, float]) -> None:
        """Appends one row to each log and flushes it; raises `BerrypickError` if the disk is full."""
        now = time.perf_counter()
        with writing(self.metrics_path, "free some space, then continue with --resume"):
            _append(self.metrics_path, {"phase": phase, "step": step, **metrics})
            _append(self._timings_path, {"phase": phase, "step": step, "seconds": round(now - self._last, 4)})
        self._last = now

    def mark(self) -> dict[str, int | str]:
        """What a checkpoint notes of metrics.jsonl: its bytes and their digest; all its rows are on the disk then."""
        self.sync()
        return {"metrics_bytes": self.size, "metrics_sha256": self._digest(self.size)}

    def _digest(self, size: int) -> str:
        return hashlib.sha256(self.metrics_path.read_bytes()[:size] if self.metrics_path.exists() else b"").hexdigest()

    def check(self, size: int, digest: str | None) -> None:
        """Raises `BerrypickError` if the first bytes of metrics.jsonl are no longer those of a checkpoint.

        Args:
            size: bytes at the checkpoint; a log that is shorter is not checked.
            digest: of these bytes; None for a checkpoint of before.
        """
        if digest is not None and self.size >= size and self._digest(size) != digest:
            raise BerrypickError(
                f"{self.metrics_path} was changed or damaged after its checkpoint was written; restore it, or start "
                "the run again in another --out"
            )

    def sync(self) -> None:
        """Waits until all rows are on the disk: a checkpoint that refers to them must not outlive them."""
        for path in (self.metrics_path, self._timings_path):
            if path.exists():
                with writing(path, "free some space, then continue with --resume"):
                    fsync(path)


def _append(path: Path, row: Mapping[str, str | int | float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(sealed_row(json.dumps(row, sort_keys=True, ensure_ascii=False)) + "\n")
        file.flush()
