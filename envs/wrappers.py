"""Gymnasium wrappers of `SearchEnv`: record episodes, replace the reward, tighten limits, replace the searcher."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym

from ..retrieval_index.errors import BerrypickError
from .record import read_records, write_records
from .recording import record_of
from .rewards import parse_reward
from .search_env import SearchEnv
from .tasks.controls import controlled

__all__ = ["CorpusControl", "LimitEpisode", "RecordEpisodes", "ReplaceReward"]

SearchWrapper = gym.Wrapper[str, str, str, str]


def _search_env(env: gym.Env[str, str]) -> SearchEnv:
    if not isinstance(env.unwrapped, SearchEnv):
        kind = type(env.unwrapped).__name__
        raise BerrypickError(f"this wrapper is for berrypick environments, got {kind}; wrap a berrypick/... id")
    return env.unwrapped


class RecordEpisodes(SearchWrapper):
    """Appends each ended episode to a rollouts.jsonl file.

    Episodes of one question and seed form a group. `sample_index` counts within the group and continues from the
    episodes that are already in the file. Resets without a seed count as seed 0.
    """

    def __init__(self, env: gym.Env[str, str], path: str | Path, *, policy_id: str = "", run_id: str = "") -> None:
        super().__init__(env)
        self._inner, self._path = _search_env(env), Path(path)
        self._facts = {"policy_id": policy_id, "run_id": run_id}
        self._counts: Counter[tuple[str, int]] = Counter()
        if self._path.is_file() and self._path.stat().st_size:
            self._counts.update((record.question.id, record.seed) for record in read_records(self._path))
        self._seed = 0
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts an episode."""
        self._seed = seed or 0
        return super().reset(seed=seed, options=options)

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        """Takes a turn; writes the record at the end."""
        result = super().step(action)
        if result[2] or result[3]:
            episode, task = self._inner.episode, self._inner.task
            key = (episode.question.id, self._seed)
            sample = self._counts[key]
            self._counts[key] += 1
            record = record_of(
                episode,
                sample_index=sample,
                seed=self._seed,
                env_id=task.env_id,
                index_id=task.searcher.index_id,
                **self._facts,
            )
            record.reward = float(result[1])
            write_records(self._path, [record])
        return result


class ReplaceReward(SearchWrapper):
    """Pays another reward at the end of the episode, for example "f1 - 0.01*queries"."""

    def __init__(self, env: gym.Env[str, str], reward: str) -> None:
        super().__init__(env)
        self._inner, self._reward = _search_env(env), parse_reward(reward)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Takes a turn; `info["replaced_reward"]` is the reward of the inner environment."""
        observation, reward, terminated, truncated, info = super().step(action)
        paid = self._reward(self._inner.episode.facts()) if terminated or truncated else 0.0
        return observation, paid, terminated, truncated, info | {"replaced_reward": float(reward)}


class LimitEpisode(SearchWrapper):
    """Tightens the limits of later episodes: turns, searches, characters of an observation."""

    def __init__(
        self,
        env: gym.Env[str, str],
        *,
        max_turns: int | None = None,
        search_budget: int | None = None,
        max_observation_chars: int | None = None,
    ) -> None:
        super().__init__(env)
        inner = _search_env(env)
        spec = inner.task.spec
        given = {"max_turns": max_turns, "search_budget": search_budget, "max_observation_chars": max_observation_chars}
        tighter: dict[str, Any] = {}
        for name, limit in given.items():
            if limit is None:
                continue
            before = getattr(spec, name)
            tighter[name] = limit if before is None else min(limit, before)
        inner.task = dataclasses.replace(inner.task, spec=dataclasses.replace(spec, **tighter))


class CorpusControl(SearchWrapper):
    """Replaces the searcher by a control, to see what accuracy is when retrieval finds nothing, or everything.

    "empty" finds nothing. "random" finds passages by a hash of the query. "oracle" finds the evidence of the question
    for any query, hop after hop. "closed_book" allows one turn and no search.
    """

    def __init__(self, env: gym.Env[str, str], control: str, *, seed: int = 0) -> None:
        super().__init__(env)
        inner = _search_env(env)
        self._closed_with = inner.task.searcher
        inner.task = controlled(inner.task, control, seed=seed)

    def close(self) -> None:
        """Closes both searchers, the control and the one it replaced."""
        super().close()
        self._closed_with.close()
