"""SkyRL-Gym's search environment compared with ours on one `/retrieve` server."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...envs.episode import Draft, advance, start
from ...envs.tasks.registry import make_task
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import MissingExtraError
from ...retrieval_index.remote import RemoteSearcher
from ...retrieval_index.store import build_index
from .running import served

__all__ = ["compare"]


def compare(rounds: int, num_envs: int = 32) -> dict[str, Any]:
    """Plays one search in `num_envs` environments of each kind; SkyRL-Gym's environments search one by one.

    Returns:
        Milliseconds per search step and environment: theirs, ours one by one, ours in one batch; medians over rounds.
    """
    try:
        from skyrl_gym.envs.search.env import SearchEnv, SearchEnvConfig
    except ImportError as error:
        raise MissingExtraError("the part skyrl", "skyrl-gym", error) from error
    task = make_task("berrypick/World-v0", top_k=3, max_turns=4)
    questions = task.split("train")[:num_envs]
    turns = []
    for question in questions:
        world = WorldFacts.required(question, "this comparison")
        turns.append(f"<search>{world.kinds[0]} {world.relations[0]} {world.entities[0]}</search>")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        build_index(task.passages, "bm25s", folder)
        with served(folder) as server:
            url = server.url
            searcher = RemoteSearcher(url)

            def theirs() -> None:
                config = SearchEnvConfig(search_url=f"{url}/retrieve", topk=3)
                for question, turn in zip(questions, turns):
                    extras = {"reward_spec": {"ground_truth": {"target": list(question.answers)}}, "max_turns": 4}
                    step = SearchEnv(config, extras).step(turn)
                    assert step["observations"], "their environment got no observation"

            def ours_one_by_one() -> None:
                for question, turn in zip(questions, turns):
                    advance([start(question, task.spec)], [Draft(turn)], searcher)

            def ours_batched() -> None:
                advance([start(question, task.spec) for question in questions], [Draft(t) for t in turns], searcher)

            times = [_in_turn(work) for _ in range(rounds + 1) for work in (theirs, ours_one_by_one, ours_batched)]
    medians = [statistics.median(times[3 + i :: 3]) * 1000 / num_envs for i in range(3)]
    return {
        "num_envs": num_envs,
        "skyrl_gym_ms": medians[0],
        "ours_one_by_one_ms": medians[1],
        "ours_batched_ms": medians[2],
        "ratio_one_by_one": medians[0] / medians[1],
        "ratio_batched": medians[0] / medians[2],
    }


def _in_turn(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
