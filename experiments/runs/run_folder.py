"""A run's folder: its configuration, its environment, its append-only logs."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.files import writing
from ...retrieval_index.held import LOCK, held

__all__ = [
    "RunLog",
    "drop_unused_run",
    "environment_facts",
    "hold_run_folder",
    "open_run_folder",
    "write_json",
    "write_whole",
]

_PACKAGES = (
    "gymnasium",
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "pyserini",
    "bm25s",
    "faiss-cpu",
    "pydantic",
)


_BEGUN = frozenset({"config.json", "environment.json", ".environment.json.partial", ".config.json.partial", LOCK})
"""What stands in the folder of a run that has done nothing yet."""


@contextmanager
def hold_run_folder(out: Path, config: dict[str, Any], *, resume: bool) -> Iterator[bool]:
    """Opens a run folder as `open_run_folder` does and keeps every other process out of it while the block runs.

    Raises:
        BerrypickError: what `open_run_folder` refuses, or a folder another process is at work in.
    """
    with held(out) as mine:
        if mine is False:
            raise BerrypickError(f"another process is at work in {out}; wait for its end, or choose another --out")
        yield open_run_folder(out, config, resume=resume)


def open_run_folder(out: Path, config: dict[str, Any], *, resume: bool) -> bool:
    """Creates a run folder, or reopens the one of the same configuration.

    A folder in which nothing was done yet takes any configuration.

    Returns:
        Whether there was a run to go on with.

    Raises:
        BerrypickError: the folder holds another run, or this one and `resume` was not asked for; its configuration is
            damaged; or it cannot be written.
    """
    stored = out / "config.json"
    unused = not out.is_dir() or all(path.name in _BEGUN for path in out.iterdir())
    if stored.is_file() and not unused:
        if not resume:
            raise BerrypickError(f"{out} holds a run already; add --resume to go on with it, or choose another --out")
        different = _differences(_stored_config(stored), json.loads(json.dumps(config)))
        if different:
            raise BerrypickError(
                f"{out} holds another run (different: {', '.join(different)}); give the settings it was begun with, "
                "or choose another --out"
            )
        return True
    if not unused:
        raise BerrypickError(f"{out} holds other files; choose an empty or new folder for --out")
    with writing(f"to {out}", "choose another --out"):
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "environment.json", environment_facts())
        write_json(stored, config)
    return False


def drop_unused_run(out: Path) -> None:
    """Removes a run folder in which nothing was done: no file in it but its configuration and empty ones."""
    files = list(out.iterdir())
    if all(path.name in _BEGUN or (path.is_file() and not path.stat().st_size) for path in files):
        for path in files:
            path.unlink()
        out.rmdir()


def _stored_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(config, dict):
        raise _damaged(path, "no JSON object")
    return config


def _damaged(path: Path, reason: str) -> BerrypickError:
    return BerrypickError(f"cannot read {path} ({reason}); put the run's own file back, or choose another --out")


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Dotted names of the settings that differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            found
            for key in sorted({*before, *now})
            for found in _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
        ]
    return [name] if before != now else []


def environment_facts() -> dict[str, Any]:
    """Versions and machine facts that a figure depends on."""
    versions: dict[str, str | None] = {}
    for name in ("berrypick", *_PACKAGES):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "python": sys.version.split()[0],
        "platform": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "versions": versions,
    }


def write_json(path: Path, value: Any, *, rows: bool = False) -> None:
    """Writes a JSON document whole or not at all; keys keep their order, which is that of a report's rows.

    With `rows` the innermost objects and lists stand on one line each.
    """
    text = json.dumps(value, indent=1)
    if rows:  # a line break in the text is never inside a string
        text = re.sub(r"[{\[]\n[^{}\[\]]*[}\]]", lambda found: re.sub(r"\n *", " ", found[0]), text)
    write_whole(path, text + "\n")


def write_whole(path: Path, text: str) -> None:
    """Writes a text file, UTF-8, whole or not at all."""
    work = path.with_name(f".{path.name}.partial")
    work.write_text(text, encoding="utf-8")
    os.replace(work, path)


class RunLog:
    """metrics.jsonl, a function of configuration and seed, and timings.jsonl, which is not."""

    def __init__(self, out: Path) -> None:
        self.metrics_path = out / "metrics.jsonl"
        self._timings_path = out / "timings.jsonl"
        self._last = time.perf_counter()

    @property
    def size(self) -> int:
        """Bytes of metrics.jsonl; a checkpoint keeps it."""
        return self.metrics_path.stat().st_size if self.metrics_path.exists() else 0

    def write(self, phase: str, step: int, metrics: dict[str, float]) -> None:
        """Appends one row to both logs and flushes."""
        now = time.perf_counter()
        _append(self.metrics_path, {"phase": phase, "step": step, **metrics})
        _append(self._timings_path, {"phase": phase, "step": step, "seconds": round(now - self._last, 4)})
        self._last = now


def _append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")
        file.flush()
