"""verifiers (v1): a taskset of our questions and the environment that answers as the user. Tried with verifiers 0.4.

The model needs no tools: it writes turns in our format and is answered with the newly rendered text. verifiers finds
tasksets by the name of a top-level module; importing this one makes it known as `TASKSET_ID` in the process. For its
command line, put `from berrypick.envs.adapters.verifiers import *` into a module of that name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import verifiers.v1 as vf
from pydantic import Field

from ..episode import Draft, advance, start
from .tool_episode import question_by_id, shared_task

__all__ = ["TASKSET_ID", "BerrypickEnv", "BerrypickEnvConfig", "BerrypickTaskset", "BerrypickTasksetConfig"]

TASKSET_ID = "berrypick_search"
sys.modules.setdefault(TASKSET_ID, sys.modules[__name__])


class BerrypickTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which environment and which questions."""

    env_id: str = "berrypick/World-v0"
    arguments: dict[str, Any] = Field(default_factory=dict)
    """arguments of the environment"""
    split: str = "train"
    num_questions: int | None = None
    """first questions of the split; all by default"""


class BerrypickData(vf.TaskData):  # type: ignore[misc]
    """Names a question; it carries no answer."""

    env_id: str
    arguments: str
    question_id: str


class BerrypickTask(vf.Task[BerrypickData, vf.State, vf.TaskConfig]):  # type: ignore[misc]
    """A question; the environment pays its reward."""


class BerrypickTaskset(vf.Taskset[BerrypickTask, BerrypickTasksetConfig]):  # type: ignore[misc]
    """The questions of a split."""

    def load(self) -> Iterator[BerrypickTask]:
        """One task a question, with the environment's own prompt."""
        config = self.config
        task = shared_task(config.env_id, config.arguments)
        for question in task.split(config.split)[: config.num_questions]:
            messages = start(question, task.spec).messages
            system = [message["content"] for message in messages if message["role"] == "system"]
            data = BerrypickData(
                id=question.id,
                name=question.id,
                prompt=messages[-1]["content"],
                system_prompt=system[0] if system else None,
                env_id=config.env_id,
                arguments=json.dumps(config.arguments, sort_keys=True),
                question_id=question.id,
            )
            yield BerrypickTask(data, config.task)


class BerrypickEnvConfig(vf.EnvConfig):  # type: ignore[misc]
    """One seat: the agent that searches."""

    agent: vf.AgentConfig = vf.AgentConfig()


class BerrypickEnv(vf.Env[BerrypickEnvConfig]):  # type: ignore[misc]
    """Plays an episode: each reply of the agent is a turn, each observation a user message."""

    async def run(self, task: BerrypickTask, agents: vf.Agents) -> None:
        """One episode; the trace gets its reward, counters, queries and passage ids."""
        data = task.data
        ours = shared_task(data.env_id, json.loads(data.arguments))
        episode = start(question_by_id(ours, data.question_id), ours.spec)
        info: dict[str, Any] = {}
        async with agents.agent.interaction(task) as interaction:
            segment = await interaction.turn()
            while not segment.terminated:
                result = advance([episode], [Draft(segment.last_reply or "")], ours.searcher)[0]
                info = result.info
                if episode.done:
                    break
                segment = await interaction.turn(result.observation)
        trace = interaction.trace
        trace.record_reward("berrypick", episode.reward, 1.0)
        trace.record_metrics({k: float(v) for k, v in info.items() if "/" in k and isinstance(v, int | float)})
        trace.info["berrypick"] = {
            "question_id": data.question_id,
            "queries": episode.queries,
            "passage_ids": [hit.id for hit in episode.hits],
        }
