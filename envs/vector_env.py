"""A Gymnasium vector environment of many episodes, with one search call per step for the whole batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..retrieval_index.errors import BerrypickError, UnknownNameError
from ..retrieval_index.plain_text import safe_text
from .episode import Draft, Episode, StepResult, advance, start
from .search_env import check_action, choose_question
from .tasks.registry import Task, make_task
from .unicode_text import UnicodeText

__all__ = ["SearchVectorEnv", "make_search_vector_env"]

VectorStep = tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class SearchVectorEnv(gym.vector.VectorEnv[tuple[str, ...], Sequence[str], NDArray[Any]]):
    """`num_envs` independent `SearchEnv` episodes over one task and one searcher.

    Actions and observations are tuples of `num_envs` texts. Rewards are float64 [num_envs]; terminated and truncated
    are bool [num_envs]. Infos follow Gymnasium: an array for each key, and `_key` says which entries are set.

    Reset
        With an integer seed, sub-environment i gets seed + i, as in Gymnasium's own vector environments. A sequence
        gives one seed to each, so that groups are repeated seeds: `reset(seed=[7] * 8 + [8] * 8)`. Options are
        `question_id` (one for all, or one for each), `split`, and `reset_mask`, bool [num_envs], which resets only the
        marked episodes.

    Autoreset
        `autoreset_mode` is "NextStep" (Gymnasium's default: the step after the end resets and ignores its action),
        "SameStep" (the last observation and info are in `infos["final_obs"]` and `infos["final_info"]`) or "Disabled".
    """

    def __init__(
        self, task: Task, *, num_envs: int, split: str | None = None, autoreset_mode: str | AutoresetMode = "NextStep",
        render_mode: str | None = None,
    ) -> None:  # fmt: skip
        if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
            raise BerrypickError(f"num_envs must be a whole number of at least 1, got {num_envs!r}")
        if render_mode not in (None, "ansi"):
            raise UnknownNameError("render mode", str(render_mode), ["ansi"])
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {"render_modes": ["ansi"], "render_fps": 1, "autoreset_mode": self.autoreset_mode}
        self.task, self.num_envs, self.render_mode = task, num_envs, render_mode
        self.split = task.split_to_ask(split)
        self.single_action_space = self.single_observation_space = UnicodeText()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._by_id = {question.id: question for questions in task.questions.values() for question in questions}
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._episodes: list[Episode | None] = [None] * num_envs
        self._observations = [""] * num_envs

    @property
    def episodes(self) -> tuple[Episode | None, ...]:
        """The current episodes; None before the first reset."""
        return tuple(self._episodes)

    def reset(  # type: ignore[override]
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Starts all episodes, or those of `options["reset_mask"]`; see the class."""
        given = dict(options or {})
        rows = np.flatnonzero(self._mask(given.pop("reset_mask", None))).tolist()
        wanted = given.pop("question_id", None)
        seeds = self._spread("seed", [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed)
        ids = self._spread("question_id", [wanted] * self.num_envs if isinstance(wanted, str) else wanted)
        infos: dict[str, Any] = {}
        for row in rows:
            if seeds[row] is not None:
                self._generators[row], _ = seeding.np_random(seeds[row])
            info = self._begin(row, given | {"question_id": ids[row]})
            infos = self._add_info(infos, info, row)
        return tuple(self._observations), infos

    def _mask(self, mask: Any) -> NDArray[np.bool_]:
        if mask is None:
            return np.ones(self.num_envs, bool)
        if (
            not isinstance(mask, np.ndarray)
            or mask.dtype != np.bool_
            or mask.shape != (self.num_envs,)
            or not mask.any()
        ):
            raise BerrypickError(f"reset_mask must be a bool array of shape ({self.num_envs},) with at least one True")
        return mask

    def _spread(self, name: str, values: Iterable[Any] | None) -> list[Any]:
        spread = [None] * self.num_envs if values is None else list(values)
        if len(spread) != self.num_envs:
            raise BerrypickError(
                f"{name} has {len(spread)} entries for {self.num_envs} environments; give one for each environment"
            )
        return spread

    def _begin(self, row: int, options: dict[str, Any]) -> dict[str, Any]:
        generator = self._generators[row]
        if generator is None:
            generator, _ = seeding.np_random(None)
            self._generators[row] = generator
        question = choose_question(self.task, self._by_id, options, self.split, generator)
        episode = start(question, self.task.spec)
        messages = episode.messages
        self._episodes[row], self._observations[row] = episode, messages[-1]["content"]
        return {"question_id": question.id, "messages": messages}

    def step(self, actions: Sequence[str]) -> VectorStep:
        """Takes one turn in every episode with one search call; ended episodes follow the autoreset mode."""
        if isinstance(actions, str):
            raise BerrypickError(f"actions is one text; give a sequence of {self.num_envs} texts, one per environment")
        drafts = [Draft(check_action(action)) for action in self._spread("actions", actions)]
        episodes = [episode for episode in self._episodes if episode is not None]
        if len(episodes) < self.num_envs:
            raise ResetNeeded("call reset() before step()")
        live = [row for row, episode in enumerate(episodes) if not episode.done]
        if self.autoreset_mode == AutoresetMode.DISABLED and len(live) < self.num_envs:
            raise ResetNeeded("an episode has ended; reset it with options={'reset_mask': ...} before the next step()")
        results = dict(
            zip(live, advance([episodes[row] for row in live], [drafts[row] for row in live], self.task.searcher))
        )
        rewards, infos = np.zeros(self.num_envs), dict[str, Any]()
        ends = np.zeros((2, self.num_envs), bool)
        for row in range(self.num_envs):
            result = results.get(row)
            if result is None:
                info = self._begin(row, {})
            else:
                rewards[row], ends[0, row], ends[1, row] = result.reward, result.terminated, result.truncated
                info, infos = self._taken(row, result, infos)
            infos = self._add_info(infos, info, row)
        return tuple(self._observations), rewards, ends[0], ends[1], infos

    def _taken(self, row: int, result: StepResult, infos: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        self._observations[row] = result.observation
        if self.autoreset_mode != AutoresetMode.SAME_STEP or not (result.terminated or result.truncated):
            return result.info, infos
        last = {"final_obs": result.observation, "final_info": result.info}
        infos = self._add_info(infos, last, row)
        return self._begin(row, {}), infos

    def render(self) -> tuple[str, ...] | None:
        """The conversations so far as texts, in render mode "ansi"."""
        if self.render_mode != "ansi":
            return None
        return tuple(
            "\n".join(f"{m['role']}: {safe_text(m['content'].strip())}" for m in episode.messages) if episode else ""
            for episode in self._episodes
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the searcher."""
        self.task.searcher.close()


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    names = {known.value: known for known in AutoresetMode}
    if mode not in names:
        raise UnknownNameError("autoreset mode", str(mode), names)
    return names[mode]


def make_search_vector_env(
    env_id: str,
    *,
    num_envs: int,
    split: str | None = None,
    autoreset_mode: str = "NextStep",
    render_mode: str | None = None,
    **arguments: Any,
) -> SearchVectorEnv:
    """Vector entry point of all registered ids; `gym.make_vec(id, n, vectorization_mode="vector_entry_point")`."""
    task = make_task(env_id, **arguments)
    return SearchVectorEnv(task, num_envs=num_envs, split=split, autoreset_mode=autoreset_mode, render_mode=render_mode)
