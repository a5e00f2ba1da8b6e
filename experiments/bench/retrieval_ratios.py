"""Ratios to reference systems: each pair is measured in turn in one run; medians over rounds."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.java import import_pyserini
from ...retrieval_index.store import open_searcher, read_manifest
from .http_load import Load, run_load
from .running import reference, served

__all__ = ["clients", "hnsw", "lucene", "server_batch"]


def lucene(folder: Path, questions: Sequence[str], rounds: int, k: int = 3) -> dict[str, float]:
    """Our search compared with Pyserini's `batch_search` that also reads id, score and text."""
    if read_manifest(folder).backend != "lucene":
        raise BerrypickError("the part lucene needs --index of a lucene index")
    searcher = open_searcher(folder)
    pyserini = import_pyserini("pyserini.search.lucene")  # without reading the hits
    raw = pyserini.LuceneSearcher(str(folder / "lucene"))
    raw.set_bm25(0.9, 0.4)
    with_text = _with_raw_text(folder)
    ids = [str(number) for number in range(len(questions))]

    def theirs() -> None:
        for hits in with_text.batch_search(list(questions), ids, k=k, threads=2).values():
            for hit in hits:
                _ = (hit.docid, hit.score, hit.lucene_document.get("raw"))

    def bare() -> None:
        raw.batch_search(list(questions), ids, k=k, threads=2)

    ours, raw_s, bare_s = _in_turn(rounds, lambda: searcher.search(questions, k), theirs, bare)
    count = len(questions)
    return {
        "ours_qps": count / ours,
        "raw_with_text_qps": count / raw_s,
        "raw_without_reading_qps": count / bare_s,
        "ours_to_raw": raw_s / ours,
    }


def _with_raw_text(folder: Path) -> Any:
    """Pyserini's searcher over the same passages, with stored raw documents, as its users have them."""
    from ...retrieval_index.passages import PassageTable

    target = folder.parent / f"{folder.name}-raw"
    if not target.exists():
        module = import_pyserini("pyserini.index.lucene")
        indexer = module.LuceneIndexer(args=["-index", str(target), "-threads", "1", "-optimize", "-storeRaw"])
        for passage in PassageTable.open(folder):
            indexer.add_doc_raw(json.dumps({"id": passage.id, "contents": passage.contents}))
        indexer.close()
    searcher = import_pyserini("pyserini.search.lucene").LuceneSearcher(str(target))
    searcher.set_bm25(0.9, 0.4)
    return searcher


def server_batch(folder: Path, questions: Sequence[str], rounds: int, size: int = 64, k: int = 3) -> dict[str, Any]:
    """One client with 64 queries per request, compared with the same searches in process."""
    searcher = open_searcher(folder)
    parts = [list(questions[at : at + size]) for at in range(0, len(questions) - size + 1, size)]
    bodies = [json.dumps({"queries": part, "topk": k, "return_scores": True}).encode() for part in parts]

    def in_process() -> None:
        for part in parts:
            searcher.search(part, k)

    with served(folder) as server:

        def over_http() -> None:
            _post_all(server.url, bodies)

        local_s, http_s = _in_turn(rounds, in_process, over_http)
    count = sum(map(len, parts))
    rates = {"in_process_qps": count / local_s, "server_qps": count / http_s, "server_to_in_process": local_s / http_s}
    return {"backend": read_manifest(folder).backend, **rates}


def clients(
    folder: Path, questions: Sequence[str], seconds: float, rounds: int, connections: int = 32
) -> list[dict[str, Any]]:
    """32 keep-alive clients with one query per request: our server, a no-op endpoint, a Search-R1-style loop."""
    bodies = [json.dumps({"queries": [q], "topk": 3, "return_scores": True}).encode() for q in questions]
    loads: dict[str, list[Load]] = {"berrypick serve": [], "no-op endpoint": [], "Search-R1-style loop": []}
    with served(folder) as ours, reference("noop", folder) as noop, reference("loop", folder) as loop:
        for _ in range(rounds):
            for name, server in zip(loads, (ours, noop, loop)):
                loads[name].append(run_load(server.url + "/retrieve", bodies, connections, seconds))
    return [
        {
            "server": name,
            "requests_per_s": statistics.median(load.requests_per_s for load in done),
            "p50_ms": statistics.median(load.percentile_ms(0.5) for load in done),
            "p99_ms": statistics.median(load.percentile_ms(0.99) for load in done),
        }
        for name, done in loads.items()
    ]


def hnsw(vectors: Sequence[Path], queries: Path | None, rounds: int) -> dict[str, float]:
    """HNSW compared with Flat on real vectors: recall@10, and rates for single queries and batches of 64."""
    from ...retrieval_index.faiss_index import FaissVectors, FlatVectors, build_graph, recall_at

    if not vectors or queries is None:
        raise BerrypickError("the part hnsw needs --vectors FILE ... and --queries FILE")
    base = np.ascontiguousarray(np.concatenate([np.load(path) for path in vectors]), np.float32)
    asked = np.ascontiguousarray(np.load(queries), np.float32)
    began = time.perf_counter()
    graph = FaissVectors(build_graph(base, "hnsw"))
    build_s = time.perf_counter() - began
    flat = FlatVectors(base)
    some = asked[:200]

    def singles(index: Any) -> Callable[[], Any]:
        return lambda: [index.search(some[i : i + 1], 10) for i in range(len(some))]

    def batches(index: Any) -> Callable[[], Any]:
        return lambda: [index.search(asked[i : i + 64], 10) for i in range(0, len(asked), 64)]

    times = _in_turn(rounds, singles(graph), singles(flat), batches(graph), batches(flat))
    counts = (len(some), len(some), len(asked), len(asked))
    rates = [count / seconds for count, seconds in zip(counts, times)]
    return {
        "vectors": len(base),
        "build_s": build_s,
        "recall_at_10": recall_at(graph, flat, asked),
        "hnsw_single_qps": rates[0],
        "flat_single_qps": rates[1],
        "hnsw_batch64_qps": rates[2],
        "flat_batch64_qps": rates[3],
        "single_ratio": rates[0] / rates[1],
    }


def _in_turn(rounds: int, *works: Callable[[], Any]) -> list[float]:
    """Median seconds of each work; they take turns, so a slow moment affects all. The first round warms up."""
    taken: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for seconds, work in zip(taken, works):
            began = time.perf_counter()
            work()
            if number:
                seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in taken]


def _post_all(url: str, bodies: Sequence[bytes]) -> None:
    import urllib3

    with urllib3.PoolManager(maxsize=1) as pool:
        for body in bodies:
            reply = pool.request("POST", url + "/retrieve", body=body)
            if reply.status != 200:
                raise BerrypickError(f"the server answered {reply.status}; see its log")
