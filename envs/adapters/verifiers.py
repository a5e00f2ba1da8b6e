"""verifiers (v1): a taskset of questions, and an environment that answers as the user. Tested with verifiers 0.4.

The model needs no tools. It writes turns in our turn format, and each user message is the text that answers a turn.
verifiers finds a taskset by the name of a top-level module, so importing this module registers it as `TASKSET_ID` in
the process. For the command line of verifiers, the package in `hubs/verifiers` installs a module of that name.
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
"""The name by which verifiers finds this taskset."""
sys.modules.setdefault(TASKSET_ID, sys.modules[__name__])


class BerrypickTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Configuration of the taskset: the environment and its questions."""

    env_id: str = "berrypick/World-v0"
    arguments: dict[str, Any] = Field(default_factory=dict)
    """arguments of the environment"""
    split: str = "train"
    num_questions: int | None = None
    """number of questions, from the start of the split; all by default"""


class BerrypickData(vf.TaskData):  # type: ignore[misc]
    """The data of a task: the id of a question, without its answer."""

    env_id: str
    arguments: str
    question_id: str


class BerrypickTask(vf.Task[BerrypickData, vf.State, vf.TaskConfig]):  # type: ignore[misc]
    """One question. Its reward comes from the environment."""


class BerrypickTaskset(vf.Taskset[BerrypickTask, BerrypickTasksetConfig]):  # type: ignore[misc]
    """The questions of a split."""

    def load(self) -> Iterator[BerrypickTask]:
        """One task per question, with the environment's own prompt."""
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
    """Configuration of the environment: the agent that searches.

    It only writes text, so by default it runs as a chat in a process of this machine, not as a coding agent in a box.
    """

    agent: vf.AgentConfig = vf.AgentConfig(harness={"id": "null"}, runtime=vf.SubprocessConfig())


class BerrypickEnv(vf.Env[BerrypickEnvConfig]):  # type: ignore[misc]
    """Plays episodes: each reply of the agent is a turn, and each observation is a user message."""

    async def run(self, task: BerrypickTask, agents: vf.Agents) -> None:
        """Plays one episode and adds its reward, counters, queries and passage ids to the trace."""
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
