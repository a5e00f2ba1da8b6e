"""How each back end grows with the corpus: one process a cell, so that memory is its own."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...envs.world import WorldConfig, build_world
from ...retrieval_index.corpus import Passage
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.store import build_index, open_searcher

__all__ = ["measure", "world_passages"]

_DENSE_LIMIT = 100_000
_BATCHES = (1, 64, 512)
_QUERIES = 512


def world_passages(size: int) -> tuple[list[Passage], list[str]]:
    """The first `size` passages of a World, and queries that name kind, relation and entity of some of them."""
    config = WorldConfig.from_preset("priced", num_train=-(-size // 6), num_validation=0, num_test=0)
    passages = build_world(config).passages()[:size]
    step = max(1, len(passages) // _QUERIES)
    words = [passage.text.split() for passage in passages[::step][:_QUERIES]]  # "register: the founder of kizunba is"
    return passages, [f"{word[0].rstrip(':')} {word[2]} {word[4]}" for word in words]


def measure(out: Path, sizes: Sequence[int], backends: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each back end and size; draws the figure where matplotlib is installed."""
    rows = []
    for backend in backends:
        for size in sizes:
            if backend not in ("bm25s", "lucene") and size > _DENSE_LIMIT:
                continue
            command = [sys.executable, "-m", __spec__.name, backend, str(size), str(out / f"{backend}-{size}")]
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if ended.returncode:
                raise BerrypickError(f"the cell {backend} {size} failed; run it alone: {' '.join(command[1:])}")
            rows.append(json.loads(ended.stdout.splitlines()[-1]))
            sys.stderr.write(f"{rows[-1]}\n")
    _figure(rows, out / "growth.svg")
    return rows


def _cell(backend: str, size: int, folder: Path) -> dict[str, Any]:
    queries, row = _built(backend, size, folder)
    began = time.perf_counter()
    searcher = open_searcher(folder)
    searcher.search(queries[:1], 3)
    row["first_hit_s"] = time.perf_counter() - began
    for batch in _BATCHES:
        row[f"qps_{batch}"] = _rate(searcher, queries, batch)
    singles = sorted(_seconds(lambda q=query: searcher.search([q], 3)) for query in queries)  # type: ignore[misc]
    row["p99_ms"] = 1000 * singles[int(0.99 * len(singles))]
    searcher.close()
    return row


def _built(backend: str, size: int, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Builds; the passages go when it returns."""
    passages, queries = world_passages(size)
    build_s = _seconds(lambda: build_index(passages, backend, folder, overwrite=True))
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    row = {"backend": backend, "passages": len(passages), "build_s": build_s}
    return queries, {**row, "build_mib": _peak_mib(), "disk_mib": disk / 2**20}


def _rate(searcher: Any, queries: Sequence[str], batch: int) -> float:
    """Queries a second, the median of three rounds."""
    asked = list(queries) if batch > 1 else list(queries)[:256]

    def once() -> None:
        for at in range(0, len(asked), batch):
            searcher.search(asked[at : at + batch], 3)

    once()
    return len(asked) / statistics.median(_seconds(once) for _ in range(3))


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _figure(rows: Sequence[dict[str, Any]], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        sys.stderr.write('no figure: matplotlib is not installed; pip install "berrypick[plots]"\n')
        return
    figure = Figure(figsize=(9, 3))
    panels = (("build_s", "build (s)"), ("disk_mib", "disk (MiB)"), ("qps_64", "queries/s, batch 64"))
    for number, (name, label) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number)
        for backend in dict.fromkeys(row["backend"] for row in rows):
            mine = [row for row in rows if row["backend"] == backend]
            axes.loglog([row["passages"] for row in mine], [row[name] for row in mine], marker="o", label=backend)
        axes.set_xlabel("passages")
        axes.set_title(label, fontsize=9)
        axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_cell(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))) + "\n")
