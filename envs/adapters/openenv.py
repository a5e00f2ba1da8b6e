"""OpenEnv: serves an environment with one session per rollout. Tested with openenv 0.10.

As in all OpenEnv environments, the observation contains the reward and whether the episode is done. OpenEnv has no
field for `truncated`, so it is in the observation's metadata.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import numpy as np
from openenv.core.env_server import Action, Environment, Observation, State, create_fastapi_app
from pydantic import BeforeValidator, Field

from ..episode import Draft, Episode, advance, start
from ..formats.actions import encodable
from ..search_env import choose_question
from ..tasks.task import Task
from .tool_episode import shared_task

__all__ = ["OpenEnvSearch", "SearchAction", "SearchObservation", "SearchState", "create_search_app"]


def _encodable(value: object) -> object:
    return encodable(value) if isinstance(value, str) else value


class SearchAction(Action):  # type: ignore[misc]
    """One turn of the policy."""

    text: Annotated[str, BeforeValidator(_encodable)] = Field(description="the policy's turn")


class SearchObservation(Observation):  # type: ignore[misc]
    """The environment's answer to a turn."""

    text: str = Field(description="the newly rendered text; after a reset the last user message")
    messages: list[dict[str, str]] = Field(default_factory=list, description="the whole conversation")


class SearchState(State):  # type: ignore[misc]
    """The state of the session: OpenEnv's fields and the question."""

    question_id: str = ""


class OpenEnvSearch(Environment[SearchAction, SearchObservation, SearchState]):  # type: ignore[misc]
    """One session. All sessions share the task and only read it."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, task: Task, split: str | None = None) -> None:
        super().__init__()
        self._task, self._split = task, task.default_split if split is None else split
        self._by_id = {question.id: question for questions in task.questions.values() for question in questions}
        self._episode: Episode | None = None
        self._state = SearchState(episode_id=str(uuid4()), step_count=0)

    def reset(self, seed: int | None = None, episode_id: str | None = None, **options: Any) -> SearchObservation:
        """Starts an episode. `question_id` and `split` choose the question; otherwise it depends on seed and split."""
        known = {name: options[name] for name in ("question_id", "split") if options.get(name) is not None}
        question = choose_question(self._task, self._by_id, known, self._split, np.random.default_rng(seed))
        self._episode = start(question, self._task.spec)
        self._state = SearchState(episode_id=episode_id or str(uuid4()), step_count=0, question_id=question.id)
        messages = self._episode.messages
        return SearchObservation(
            text=messages[-1]["content"],
            messages=messages,
            reward=None,
            done=False,
            metadata={"question_id": question.id},
        )

    def step(self, action: SearchAction, timeout_s: float | None = None, **_: Any) -> SearchObservation:
        """Takes one turn. After the end of the episode the observation says so, with reward 0."""
        if self._episode is None or self._episode.done:
            return SearchObservation(text="reset first: no episode is open", reward=0.0, done=True)
        result = advance([self._episode], [Draft(action.text)], self._task.searcher)[0]
        self._state.step_count += 1
        info = {key: value for key, value in result.info.items() if key != "messages"}
        return SearchObservation(
            text=result.observation,
            messages=result.info["messages"],
            reward=result.reward,
            done=result.terminated or result.truncated,
            metadata={**info, "truncated": result.truncated},
        )

    @property
    def state(self) -> SearchState:
        """The session's state."""
        return self._state


def create_search_app(env_id: str, *, split: str | None = None, max_concurrent_envs: int = 64, **arguments: Any) -> Any:
    """A FastAPI application that serves an environment. Run it with uvicorn."""
    task = shared_task(env_id, arguments)
    return create_fastapi_app(
        lambda: OpenEnvSearch(task, split), SearchAction, SearchObservation, max_concurrent_envs=max_concurrent_envs,
        env_name=env_id.replace("/", "-"), state_cls=SearchState,
    )  # fmt: skip
