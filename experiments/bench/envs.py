"""`berrypick bench envs`: cost of a step without retrieval, memory, World generation, and a SkyRL-Gym comparison."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ...envs.episode import Draft, Episode, advance, start
from ...envs.tasks.registry import make_task
from ...envs.tasks.task import Task
from ...envs.vector_env import SearchVectorEnv
from ...retrieval_index.bounds import at_least
from ...retrieval_index.errors import UnknownNameError
from ...retrieval_index.searcher import Hit, Searcher
from ..runs.environment import environment_facts
from ..runs.run_folder import write_json

__all__ = ["BenchEnvs"]

PARTS = ("step", "memory", "world", "skyrl")


@dataclass(frozen=True)
class BenchEnvs:
    """Time the environments: a step without retrieval, idle memory, World generation, and SkyRL-Gym's environment."""

    out: Path = Path("runs/bench-envs")
    """receives bench.json"""
    parts: tuple[str, ...] = ("step", "memory", "world")
    """parts to measure: step, memory, world, skyrl (needs skyrl-gym)"""
    num_envs: int = 256
    """size of the vector environment"""
    passages: float = 1e6
    """passages of the generated World"""
    rounds: int = 5
    """repetitions; the median is reported"""
    json: bool = False
    """print JSON instead of tables"""

    def run(self) -> int:
        """Measures the parts, prints them and writes bench.json."""
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "step": lambda: step_cost(self.num_envs, self.rounds),
            "memory": lambda: idle_memory(self.num_envs),
            "world": lambda: world_generation(int(self.passages)),
            "skyrl": lambda: skyrl_comparison(self.rounds),
        }
        for part in self.parts:
            if part not in parts:
                raise UnknownNameError("part", part, PARTS)
        at_least(1, {"--num-envs": self.num_envs, "--rounds": self.rounds})
        at_least(6, {"--passages": self.passages})
        self.out.mkdir(parents=True, exist_ok=True)
        result: dict[str, Any] = {"environment": environment_facts(), "command": " ".join(sys.argv[1:])}
        for part in self.parts:
            result[part] = parts[part]()
            write_json(self.out / "bench.json", result)
        if self.json:
            sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
        else:
            _print({part: result[part] for part in self.parts})
        return 0


class _Timed:
    """A searcher that measures the time of its searches."""

    def __init__(self, inner: Searcher) -> None:
        self._inner, self.seconds = inner, 0.0
        self.index_id = inner.index_id

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        began = time.perf_counter()
        try:
            return self._inner.search(queries, k)
        finally:
            self.seconds += time.perf_counter() - began

    def close(self) -> None:
        """Closes the inner searcher."""
        self._inner.close()


def step_cost(num_envs: int, rounds: int) -> dict[str, Any]:
    """Microseconds per step and environment without retrieval: in the vector environment, and in `advance` alone.

    Plays whole episodes: three searches with a thought, then an answer. Resets count as steps, as in training.
    """
    task = make_task("berrypick/World-v0")
    timed = _Timed(task.searcher)
    env = SearchVectorEnv(dataclasses.replace(task, searcher=timed), num_envs=num_envs)
    questions = [task.split("train")[i % len(task.split("train"))] for i in range(num_envs)]
    search = "<think> founder of kizunba is tovenra </think> <search> ledger founder kizunba </search>"
    script = [search, search, search, "<answer> tovenra </answer>"]
    env.reset(seed=0)
    through_env, alone = [], []
    for _ in range(rounds):
        steps = [(turn,) * num_envs for turn in (*script, "")] * 4

        def play(steps: list[tuple[str, ...]] = steps) -> None:
            for turns in steps:
                env.step(turns)

        through_env.append(_without_search(timed, play) / len(steps))
        alone.append(_without_search(timed, lambda: _episodes(task, questions, script, timed)) / len(script))
    return {
        "num_envs": num_envs,
        "vector_env_us": 1e6 * statistics.median(through_env) / num_envs,
        "advance_us": 1e6 * statistics.median(alone) / num_envs,
    }


def _episodes(task: Task, questions: Sequence[Any], script: Sequence[str], searcher: Searcher) -> list[Episode]:
    episodes = [start(question, task.spec) for question in questions]
    for turn in script:
        advance(episodes, [Draft(turn)] * len(episodes), searcher)
    return episodes


def _without_search(timed: _Timed, work: Callable[[], object]) -> float:
    before, began = timed.seconds, time.perf_counter()
    work()
    return time.perf_counter() - began - (timed.seconds - before)


def idle_memory(num_envs: int) -> dict[str, Any]:
    """KiB per environment after its reset; the task is shared."""
    task = make_task("berrypick/World-v0")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        env = SearchVectorEnv(task, num_envs=num_envs)
        env.reset(seed=0)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return {"num_envs": num_envs, "kib_per_env": grown / num_envs / 1024}


def world_generation(passages: int) -> dict[str, Any]:
    """Seconds and peak resident GiB of generating a World, in a fresh process."""
    code = (
        "import json, resource, time\n"
        "from berrypick.envs.world.world import WorldConfig, build_world\n"
        "began = time.perf_counter()\n"
        f"world = build_world(WorldConfig(num_train={passages // 6}, num_validation=0, num_test=0))\n"
        "print(json.dumps({'passages': len(world.records), 'seconds': time.perf_counter() - began,\n"
        "  'peak_gib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def skyrl_comparison(rounds: int) -> dict[str, Any]:
    """Milliseconds of a search step in SkyRL-Gym's environment and in ours, with the same server and actions."""
    from .envs_skyrl import compare

    return compare(rounds)


def _print(result: dict[str, dict[str, Any]]) -> None:
    console = Console()
    for part, figures in result.items():
        table = Table(title=part, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in figures.items():
            table.add_row(name, f"{value:,.3g}" if isinstance(value, float) else str(value))
        console.print(table)
