"""How each back end grows with the corpus. Each cell runs in a fresh process, so that its peak memory is its own.

A cell has two stages, which may run at different times: "build" builds the index and records the cost, "query" times
searches in it.
"""

from __future__ import annotations

import json
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...envs.world.world import WorldConfig, build_world
from ...retrieval_index.corpus import Passage
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.store import build_index, open_searcher

__all__ = ["STAGES", "growth", "scale", "world_passages"]

STAGES = ("build", "query")
_DENSE_LIMIT = 100_000
_BATCHES = (1, 64, 512)
_QUERIES = 512
_COSTS = "build.json"


def world_passages(size: int) -> tuple[list[Passage], list[str]]:
    """The first `size` passages of a World, and one query, its kind, relation and entity, for up to 512 of them."""
    config = WorldConfig.from_preset("priced", num_train=-(-size // 6), num_validation=0, num_test=0)
    passages = build_world(config).passages()[:size]
    step = max(1, len(passages) // _QUERIES)
    words = [passage.text.split() for passage in passages[::step][:_QUERIES]]  # "register: the founder of kizunba is"
    return passages, [f"{word[0].rstrip(':')} {word[2]} {word[4]}" for word in words]


def growth(
    out: Path,
    sizes: Sequence[int],
    backends: Sequence[str],
    stages: Sequence[str],
    done: Sequence[tuple[str, int]],
    keep: Callable[[dict[str, Any]], None],
) -> None:
    """Runs the cells that are not done; existing indexes are not built again.

    Args:
        out: folder of the indexes.
        sizes: corpus sizes in passages.
        backends: names of back ends; dense ones run up to 1e5 passages.
        stages: stages to run, from `STAGES`.
        done: cells to skip.
        keep: called with each row as soon as it is measured.
    """
    for backend in backends:
        for size in sizes:
            if (backend, size) in done or (backend not in ("bm25s", "lucene") and size > _DENSE_LIMIT):
                continue
            cell = _cell_folder(out, backend, size)
            if "build" in stages and not (cell / _COSTS).is_file():
                _run("build", backend, size, out)
            if "query" in stages:
                keep(_run("query", backend, size, out))


def scale(out: Path, sizes: Sequence[int], backends: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """Time of a query in the largest corpus divided by that in the smallest, measured in turn in one process each."""
    pairs = {backend: [size for size in sizes if _cell_folder(out, backend, size).is_dir()] for backend in backends}
    return [
        _run("scale", backend, *sorted(built)[:: len(built) - 1], out, rounds)
        for backend, built in pairs.items()
        if len(built) > 1
    ]


def _run(stage: str, backend: str, *arguments: Any) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name, stage, backend, *map(str, arguments)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        raise BerrypickError(f"a cell failed, see the error above; run it alone: {' '.join(command[1:])}")
    row: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    sys.stderr.write(f"{stage} {row}\n")
    return row


def _build(backend: str, size: int, out: Path) -> dict[str, Any]:
    passages, queries = world_passages(size)
    cell = _cell_folder(out, backend, size)
    cell.mkdir(parents=True, exist_ok=True)
    with _stopwatch(cell / "spent.json") as spent:
        build_index(passages, backend, cell / "index", overwrite=True)
    disk = sum(path.stat().st_size for path in (cell / "index").rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {"backend": backend, "passages": size, "build_s": spent(), "build_mib": peak, "disk_mib": disk / 2**20}
    (cell / "queries.json").write_text(json.dumps(queries), encoding="utf-8")
    (cell / _COSTS).write_text(json.dumps(row), encoding="utf-8")
    return row


@contextmanager
def _stopwatch(path: Path) -> Iterator[Callable[[], float]]:
    """Seconds of a build, including interrupted attempts, because encoding continues where it stopped."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else 0.0
    began = time.perf_counter()
    try:
        yield lambda: float(json.loads(path.read_text(encoding="utf-8")))
    finally:
        path.write_text(json.dumps(before + time.perf_counter() - began), encoding="utf-8")


def _query(backend: str, size: int, out: Path) -> dict[str, Any]:
    cell = _cell_folder(out, backend, size)
    row = json.loads((cell / _COSTS).read_text(encoding="utf-8"))
    began = time.perf_counter()
    searcher, queries = _opened(cell)
    searcher.search(queries[:1], 3)
    row["first_hit_s"] = time.perf_counter() - began
    for batch in _BATCHES:
        once = _asker(searcher, queries, batch)
        once()
        row[f"qps_{batch}"] = len(queries) / statistics.median(_seconds(once) for _ in range(3))
    singles = sorted(_seconds(lambda q=query: searcher.search([q], 3)) for query in queries)  # type: ignore[misc]
    row["p99_ms"] = 1000 * singles[int(0.99 * len(singles))]
    searcher.close()
    return dict(row)


def _scale(backend: str, small: int, large: int, out: Path, rounds: int) -> dict[str, Any]:
    opened = [_opened(_cell_folder(out, backend, size)) for size in (small, large)]
    row: dict[str, Any] = {"backend": backend, "passages": f"{large} / {small}"}
    for batch in _BATCHES:
        works = [_asker(searcher, queries, batch) for searcher, queries in opened]
        for work in works:
            work()
        taken = [[_seconds(work) for work in works] for _ in range(rounds)]
        row[f"time_ratio_{batch}"] = statistics.median(large_s / small_s for small_s, large_s in taken)
    return row


def _opened(cell: Path) -> tuple[Any, list[str]]:
    queries: list[str] = json.loads((cell / "queries.json").read_text(encoding="utf-8"))
    return open_searcher(cell / "index"), queries


def _asker(searcher: Any, queries: Sequence[str], batch: int) -> Callable[[], None]:
    def once() -> None:
        for at in range(0, len(queries), batch):
            searcher.search(queries[at : at + batch], 3)

    return once


def _cell_folder(out: Path, backend: str, size: int) -> Path:
    return out / f"{backend}-{size}"


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _main(stage: str, backend: str, *rest: str) -> dict[str, Any]:
    if stage == "scale":
        small, large, out, rounds = rest
        return _scale(backend, int(small), int(large), Path(out), int(rounds))
    size, out = rest
    return {"build": _build, "query": _query}[stage](backend, int(size), Path(out))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a stopped build records its time
    sys.stdout.write(json.dumps(_main(*sys.argv[1:])) + "\n")
