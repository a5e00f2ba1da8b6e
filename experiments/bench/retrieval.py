"""`berrypick bench retrieval`: growth of every back end over World corpora, and the ratios that have a bar."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ..run_folder import environment_facts, write_json

__all__ = ["BenchRetrieval", "markdown"]

_FIRST = ("backend", "passages", "server", "vectors", "requests")  # columns that say what a row is about
PARTS = ("growth", "lucene", "batch", "clients", "hnsw", "soak")


@dataclass(frozen=True)
class BenchRetrieval:
    """Build time, disk, memory, queries a second and p99 per back end; ratios measured side by side in one run."""

    out: Path = Path("runs/bench-retrieval")
    """receives bench.json and the figure"""
    parts: tuple[str, ...] = ("growth",)
    """of growth, lucene, batch, clients, hnsw, soak"""
    sizes: tuple[float, ...] = (1e4, 1e5)
    """passages of the World corpora of growth"""
    backends: tuple[str, ...] = ("bm25s", "lucene")
    """of growth; faiss runs up to 1e5 passages"""
    index: Path | None = None
    """an index folder: lucene for the part lucene, any for batch and clients"""
    questions: Path | None = None
    """JSONL with the questions that are asked of --index"""
    vectors: tuple[Path, ...] = ()
    """for hnsw: .npy files of unit vectors, float32 [passages, dim]"""
    queries: Path | None = None
    """for hnsw: .npy of question vectors"""
    seconds: float = 5.0
    """of each load on a server"""
    soak_seconds: float = 300.0
    """of the part soak: 200 clients, every twentieth request malformed"""
    rounds: int = 5
    """of each ratio; the median counts"""
    json: bool = False
    """one JSON document"""

    def run(self) -> int:
        """Measures, prints, writes bench.json."""
        for part in self.parts:
            if part not in PARTS:
                raise UnknownNameError("part", part, PARTS)
        self.out.mkdir(parents=True, exist_ok=True)
        result: dict[str, Any] = {"environment": environment_facts(), "command": " ".join(sys.argv[1:])}
        for part in self.parts:
            result[part] = self._parts()[part]()
            write_json(self.out / "bench.json", result)
        if self.json:
            sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
        else:
            _print(result)
        return 0

    def _parts(self) -> dict[str, Callable[[], Any]]:
        from . import retrieval_growth as growth
        from . import retrieval_ratios as ratios
        from .soak import soak

        return {
            "growth": lambda: growth.measure(self.out, [int(size) for size in self.sizes], self.backends),
            "lucene": lambda: ratios.lucene(self._index(), self._questions(), self.rounds),
            "batch": lambda: ratios.server_batch(self._index(), self._questions(), self.rounds),
            "clients": lambda: ratios.clients(self._index(), self._questions(), self.seconds, self.rounds),
            "hnsw": lambda: ratios.hnsw(self.vectors, self.queries, self.rounds),
            "soak": lambda: soak(self._index(), self._questions(), self.soak_seconds),
        }

    def _index(self) -> Path:
        if self.index is None:
            raise BerrypickError("this part needs --index FOLDER and --questions FILE")
        return self.index

    def _questions(self) -> list[str]:
        from ...retrieval_index.corpus import read_jsonl

        if self.questions is None:
            raise BerrypickError("this part needs --index FOLDER and --questions FILE")
        return [str(line.get("question", "")) for _, line in read_jsonl(self.questions)]


def markdown(kept: dict[str, Any]) -> str:
    """The tables of the documentation, from results/retrieval/bench.json: part -> {"command", "rows"}."""
    lines = []
    for part in PARTS:
        rows = kept[part]["rows"]
        columns = sorted({name for row in rows for name in row}, key=lambda name: (name not in _FIRST, name))
        lines += [f"`{kept[part]['command']}`", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(_cell(row.get(name, "")) for name in columns) + " |" for row in rows] + [""]
    return "\n".join(lines)


def _print(result: dict[str, Any]) -> None:
    console = Console(width=max(120, Console().width))  # a narrower table would cut its numbers
    for part in PARTS:
        rows = result.get(part)
        if isinstance(rows, dict):
            rows = [rows]
        if not rows:
            continue
        table = Table(title=part, title_justify="left")
        columns = list(dict.fromkeys(name for row in rows for name in row))
        for name in columns:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*(_cell(row.get(name, "")) for name in columns))
        console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
    return str(value)
