"""`berrypick bench retrieval`: growth of every back end with the corpus, and ratios to reference systems."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ...retrieval_index.bounds import at_least
from ...retrieval_index.errors import BerrypickError, UnknownNameError
from .results_file import markdown, read_parts, rows_measured_here, show_value, write_rows

__all__ = ["PARTS", "BenchRetrieval"]

# part -> the settings that its recorded command includes
PARTS = {
    "growth": ("sizes", "backends"),
    "scale": ("sizes", "backends", "rounds"),
    "first-hit": ("index", "questions", "rounds"),
    "lucene": ("index", "questions", "rounds"),
    "batch": ("index", "questions", "rounds"),
    "clients": ("index", "questions", "rounds", "seconds"),
    "hnsw": ("vectors", "queries", "rounds"),
    "soak": ("index", "questions", "soak_seconds"),
}

# part -> the settings that it reads
_READS = {**PARTS, "growth": (*PARTS["growth"], "stages", "resume", "work"), "scale": (*PARTS["scale"], "work")}


@dataclass(frozen=True)
class BenchRetrieval:
    """Measure build time, disk, memory, query rate and p99 per back end, and ratios to reference systems.

    bench.json keeps the results of earlier runs in the same folder, so parts can be run one by one.
    """

    out: Path = Path("runs/bench-retrieval")
    """receives bench.json, bench.md and the figure of growth"""
    parts: tuple[str, ...] = ("growth",)
    """parts to measure: growth, scale, first-hit, lucene, batch, clients, hnsw, soak"""
    sizes: tuple[float, ...] = (1e4, 1e5)
    """growth, scale: sizes of the World corpora, in passages"""
    backends: tuple[str, ...] = ("bm25s", "lucene")
    """growth, scale: back ends; faiss runs up to 1e5 passages"""
    stages: tuple[str, ...] = ("build", "query")
    """growth: build the indexes, time the queries; existing indexes are not built again"""
    resume: bool = False
    """growth: skip what bench.json already has from this environment"""
    work: Path = Path("runs/bench-retrieval-indexes")
    """growth, scale: folder of the indexes"""
    index: Path | None = None
    """index folder: a lucene index for the part lucene, any for first-hit, batch, clients and soak"""
    questions: Path | None = None
    """questions to search in --index, as JSONL"""
    vectors: tuple[Path, ...] = ()
    """hnsw: .npy files of unit vectors, float32 [passages, dim]"""
    queries: Path | None = None
    """hnsw: .npy file of question vectors"""
    seconds: float = 5.0
    """clients: duration of each load"""
    soak_seconds: float = 300.0
    """soak: duration; 200 clients, every twentieth request malformed"""
    rounds: int = 5
    """repetitions of each ratio; the median is reported"""
    json: bool = False
    """print JSON instead of tables"""

    def run(self) -> int:
        """Measures the parts, prints them and adds them to bench.json."""
        from .growth_figure import growth_figure
        from .retrieval_growth import STAGES

        for what, chosen, known in (("part", self.parts, PARTS), ("stage", self.stages, STAGES)):
            for name in chosen:
                if name not in known:
                    raise UnknownNameError(what, name, known)
        at_least(1, {"--sizes": min(self.sizes, default=0), "--rounds": self.rounds})
        at_least(0, {"--seconds": self.seconds, "--soak-seconds": self.soak_seconds})
        self._check_read()
        self.out.mkdir(parents=True, exist_ok=True)
        read_parts(self._file)  # fails before minutes of work if the file is of another kind
        for part in self.parts:
            self._measure()[part]()
        parts = read_parts(self._file)
        (self.out / "bench.md").write_text(markdown(parts, tuple(PARTS)), encoding="utf-8")
        if "growth" in self.parts and parts.get("growth"):
            growth_figure(parts["growth"]["rows"], self.out / "growth.svg")
        measured = {part: parts[part] for part in self.parts if part in parts}
        if self.json:
            sys.stdout.write(json.dumps(measured, indent=1, sort_keys=True) + "\n")
        else:
            _print(measured)
        return 0

    def _check_read(self) -> None:
        """Refuses a setting that none of the parts reads: it would be ignored in silence."""
        for field in fields(self):
            readers = [part for part, names in _READS.items() if field.name in names]
            if readers and getattr(self, field.name) != field.default and not {*readers} & {*self.parts}:
                raise BerrypickError(
                    f"none of --parts {' '.join(self.parts)} reads --{field.name.replace('_', '-')}; remove it, or add "
                    f"one that does: {', '.join(readers)}"
                )

    @property
    def _file(self) -> Path:
        return self.out / "bench.json"

    def _measure(self) -> dict[str, Callable[[], None]]:
        from .retrieval_first_hit import first_hit
        from .retrieval_growth import growth, scale
        from .retrieval_ratios import clients, hnsw, lucene, server_batch
        from .soak import soak

        sizes = [int(size) for size in self.sizes]

        def keep(part: str, rows: Any) -> None:
            write_rows(self._file, part, rows if isinstance(rows, list) else [rows], self._command(part))

        def grow() -> None:
            done = (
                [(row["backend"], row["passages"]) for row in rows_measured_here(self._file, "growth")]
                if self.resume
                else []
            )
            growth(self.work, sizes, self.backends, self.stages, done, lambda row: keep("growth", row))

        works: dict[str, Callable[[], Any]] = {
            "scale": lambda: scale(self.work, sizes, self.backends, self.rounds),
            "first-hit": lambda: first_hit(*self._asked(), self.rounds),
            "lucene": lambda: lucene(*self._asked(), self.rounds),
            "batch": lambda: server_batch(*self._asked(), self.rounds),
            "clients": lambda: clients(*self._asked(), self.seconds, self.rounds),
            "hnsw": lambda: hnsw(self.vectors, self.queries, self.rounds),
            "soak": lambda: soak(*self._asked(), self.soak_seconds),
        }
        return {"growth": grow, **{part: lambda p=part, w=work: keep(p, w()) for part, work in works.items()}}  # type: ignore[misc]

    def _asked(self) -> tuple[Path, list[str]]:
        from ...retrieval_index.corpus import read_jsonl

        if self.index is None or self.questions is None:
            raise BerrypickError("this part needs --index FOLDER and --questions FILE")
        return self.index, [str(line.get("question", "")) for _, line in read_jsonl(self.questions)]

    def _command(self, part: str) -> str:
        """The command that measures a part again, without paths of this machine."""
        words = ["berrypick bench retrieval --parts", part]
        for name in PARTS[part]:
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{name.replace('_', '-')}", *(_public(one) for one in values)]
        return " ".join(words)


def _public(value: object) -> str:
    if isinstance(value, Path):
        return "/".join(value.parts[-2:]) if value.is_file() else "INDEX"
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _print(parts: dict[str, Any]) -> None:
    console = Console(width=max(120, Console().width))  # a narrower table would cut its numbers
    for part, results in parts.items():
        table = Table(title=part, title_justify="left")
        columns = list(dict.fromkeys(name for row in results["rows"] for name in row))
        for name in columns:
            table.add_column(name, justify="right")
        for row in results["rows"]:
            table.add_row(*(show_value(row.get(name, "")) for name in columns))
        console.print(table)
