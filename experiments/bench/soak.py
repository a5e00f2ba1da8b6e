"""Soak test: many clients for minutes, some requests malformed; checks statuses, memory and every good reply."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...retrieval_index.store import open_searcher
from .http_load import run_load
from .running import served

__all__ = ["soak"]

_MALFORMED = (b"{", b'{"queries": 3}', b'{"queries": ["a"], "topk": 0}', b"[]", b'{"queries": ["\xff"]}')


def soak(folder: Path, questions: Sequence[str], seconds: float, connections: int = 200) -> dict[str, Any]:
    """Runs the load; every twentieth request is malformed.

    Returns:
        Requests by status, number of wrong replies, latency percentiles, and the server's resident memory (MiB) after
        a tenth of the time and at the end, with their ratio.
    """
    searcher = open_searcher(folder)
    expected = [[hit.id for hit in ranking] for ranking in searcher.search(questions, 3)]
    searcher.close()
    bodies: list[bytes] = []
    truth: list[list[str] | None] = []
    for number, question in enumerate(questions):
        if number % 19 == 0:
            bodies.append(_MALFORMED[number // 19 % len(_MALFORMED)])
            truth.append(None)
        bodies.append(json.dumps({"queries": [question], "topk": 3, "return_scores": True}).encode())
        truth.append(expected[number])

    def right(number: int, reply: Any) -> bool:
        return [row["document"]["id"] for row in reply["result"][0]] == truth[number]

    memory: list[tuple[float, float]] = []
    with served(folder) as server:
        end = time.monotonic() + seconds
        watch = threading.Thread(target=_watch, args=(server.process.pid, end, memory))
        watch.start()
        bad = [number for number, ids in enumerate(truth) if ids is None]
        load = run_load(server.url + "/retrieve", bodies, connections, seconds, right, bad=bad)
        watch.join()
    early = next(mib for at, mib in memory if at >= memory[0][0] + 0.1 * seconds)
    return {
        "requests": sum(load.statuses.values()),
        "statuses": json.dumps(load.statuses, sort_keys=True),
        "wrong": load.wrong,
        "requests_per_s": load.requests_per_s,
        "p50_ms": load.percentile_ms(0.5),
        "p99_ms": load.percentile_ms(0.99),
        "early_mib": early,
        "late_mib": memory[-1][1],
        "memory_ratio": memory[-1][1] / early,
    }


def _watch(process: int, end: float, memory: list[tuple[float, float]]) -> None:
    while time.monotonic() < end:
        memory.append((time.monotonic(), _resident_mib(process)))
        time.sleep(min(1.0, max(0.05, (end - time.monotonic()) / 20)))


def _resident_mib(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
