"""`berrypick bench server`: what small requests wait while the server is attacked."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...retrieval_index.bounds import at_least
from ...retrieval_index.corpus import read_jsonl
from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ...retrieval_index.store import open_searcher
from ..runs.environment import environment_facts
from ..runs.run_folder import write_json
from . import attackers
from .attackers import KINDS
from .http_load import Load, run_load
from .running import served

__all__ = ["BenchServer"]

_WARM_UP_S = 1.0  # of an attack, before its load is measured


@dataclass(frozen=True)
class BenchServer:
    """Compare the latency of small requests to `berrypick serve` with and without an attack.

    Rounds without and with the attack take turns. The attackers are one process that holds itself to a share of a
    core: headers and bodies that never end, floods of connections, requests of 3.7 MB, and clients that hang up.
    """

    index: Path
    """index folder"""
    questions: Path
    """questions to search, as JSONL; each is one small request"""
    out: Path = Path("runs/bench-server")
    """receives server.json"""
    rounds: int = 5
    """rounds of each kind; medians are reported"""
    seconds: float = 4.0
    """duration of a round"""
    clients: int = 32
    """connections of good clients"""
    pause_ms: float = 0.0
    """how long a good client waits between a reply and its next request"""
    attackers_cpu: float = 0.1
    """cores that the attackers may use"""
    attacks: tuple[str, ...] = tuple(KINDS)
    """kinds of attack: slow-headers, slow-bodies, connections, large, hung-up"""
    json: bool = False
    """print JSON instead of text"""

    def run(self) -> int:
        """Measures, prints the result and writes it."""
        for kind in self.attacks:
            if kind not in KINDS:
                raise UnknownNameError("attack", kind, KINDS)
        at_least(1, {"--rounds": self.rounds, "--clients": self.clients})
        at_least(0, {"--seconds": self.seconds, "--attackers-cpu": self.attackers_cpu, "--pause-ms": self.pause_ms})
        if not (self.seconds and self.attackers_cpu):
            raise BerrypickError("--seconds and --attackers-cpu must be above 0")
        result = self._measure()
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(self.out / "server.json", result)
        sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n" if self.json else _text(result))
        return 0

    def _measure(self) -> dict[str, Any]:
        questions = [str(line.get("question", "")) for _, line in read_jsonl(self.questions)]
        searcher = open_searcher(self.index)
        truth = [[hit.id for hit in ranking] for ranking in searcher.search(questions, 3)]
        searcher.close()
        bodies = [json.dumps({"queries": [q], "topk": 3, "return_scores": True}).encode() for q in questions]

        def right(number: int, reply: Any) -> bool:
            return [row["document"]["id"] for row in reply["result"][0]] == truth[number]

        def load() -> Load:
            return run_load(url, bodies, self.clients, self.seconds, right, pause_s=self.pause_ms / 1000)

        calm: list[Load] = []
        attacked: list[Load] = []
        reports: list[dict[str, Any]] = []
        with served(self.index) as server, self._attackers(server.url) as hostile:
            url = server.url + "/retrieve"
            run_load(url, bodies, self.clients, min(1.0, self.seconds), right)  # warms up
            for _ in range(self.rounds):
                calm.append(load())
                hostile.start(self.seconds + _WARM_UP_S)
                time.sleep(_WARM_UP_S)
                attacked.append(load())
                reports.append(hostile.report())
                _until_idle(server.url)
        return self._result(calm, attacked, reports)

    @contextmanager
    def _attackers(self, url: str) -> Iterator[_Attackers]:
        call = f"from {attackers.__name__} import main; main()"
        words = [url.rpartition(":")[2], str(self.attackers_cpu), str(self.questions), *self.attacks]
        command = [sys.executable, "-c", call, *words]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield _Attackers(process)
            finally:
                process.terminate()

    def _result(
        self, calm: Sequence[Load], attacked: Sequence[Load], reports: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        calm_p99, attack_p99 = _median_ms(calm, 0.99), _median_ms(attacked, 0.99)
        loads = [*calm, *attacked]
        began = sum((Counter(report["began"]) for report in reports), Counter[str]())
        statuses = sum((Counter(load.statuses) for load in loads), Counter[int]())
        return {
            "calm_p50_ms": _median_ms(calm, 0.5),
            "calm_p99_ms": calm_p99,
            "calm_requests_per_s": round(statistics.median(load.requests_per_s for load in calm), 1),
            "attack_p50_ms": _median_ms(attacked, 0.5),
            "attack_p99_ms": attack_p99,
            "attack_requests_per_s": round(statistics.median(load.requests_per_s for load in attacked), 1),
            "ratio": round(attack_p99 / calm_p99, 3),
            "attackers_cpu_share": round(max(report["cpu_share"] for report in reports), 4),
            "attacks": dict(sorted(began.items())),
            "right_answers": statuses[200] - sum(load.wrong for load in loads),
            "wrong_answers": sum(load.wrong for load in loads),
            "refused": sum(count for status, count in statuses.items() if status != 200),
            "cut_off": sum(load.cut_off for load in loads),
            "rounds": self.rounds,
            "command": self._command(),
            "environment": environment_facts(),
        }

    def _command(self) -> str:
        """The command that measures again, without paths of this machine."""
        words = ["berrypick bench server --index INDEX --questions", "/".join(self.questions.parts[-2:])]
        words += [f"--rounds {self.rounds} --seconds {self.seconds:g} --clients {self.clients}"]
        words += [f"--pause-ms {self.pause_ms:g} --attackers-cpu {self.attackers_cpu:g}"]
        if self.attacks != tuple(KINDS):
            words += ["--attacks", *self.attacks]
        return " ".join(words)


class _Attackers:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._line()

    def start(self, seconds: float) -> None:
        """Attacks for some seconds from now."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def report(self) -> dict[str, Any]:
        """What was done; waits for the end of the attack."""
        return dict(json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BerrypickError("the attackers of the benchmark ended early; see their message above")
        return line


def _until_idle(url: str) -> None:
    """Waits until nothing of an attack waits for a search."""
    import urllib3

    while b"berrypick_waiting_queries 0.0" not in urllib3.request("GET", url + "/metrics").data:
        time.sleep(0.1)
    time.sleep(0.5)


def _median_ms(loads: Sequence[Load], share: float) -> float:
    return round(statistics.median(load.percentile_ms(share) for load in loads), 3)


def _text(result: dict[str, Any]) -> str:
    shown = {name: value for name, value in result.items() if name != "environment"}
    return "".join(f"{name}: {value}\n" for name, value in shown.items())
