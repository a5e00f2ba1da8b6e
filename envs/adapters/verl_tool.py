"""A search tool for verl's agent loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

from ..formats.tool_call import SEARCH_TOOL
from .tool_episode import ToolEpisode, question_by_id, shared_task

__all__ = ["BerrypickSearchTool"]


@dataclass(slots=True)
class _Rollout:
    """The episode of one rollout. The lock makes calls that verl runs concurrently take their turns one by one."""

    play: ToolEpisode
    shown: list[str] = field(default_factory=list)
    taking_turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class BerrypickSearchTool(BaseTool):  # type: ignore[misc]
    """The tool `search(query_list)`. The rows of `verl_rows` name the environment and the question.

    verl creates and releases a tool instance for each call and passes the `agent_data` of the rollout to `execute`. All
    calls of a rollout are turns of one episode: search budget, turns and passage numbers continue from call to call.
    The episode is deleted together with its `agent_data`. If there is no `agent_data`, as in your own loop, each
    instance is one episode.

    `agent_data.extra_fields["berrypick"]` has the question id, queries, passage ids and observations of the rollout so
    far. verl passes it to the reward function, where `compute_score` reads it.
    """

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None) -> None:
        super().__init__(config, tool_schema or self.get_openai_tool_schema())
        self._instances: dict[str, _Rollout | Mapping[str, Any]] = {}
        self._rollouts: WeakKeyDictionary[Any, _Rollout] = WeakKeyDictionary()

    def get_openai_tool_schema(self) -> OpenAIFunctionToolSchema:
        """The schema of the tool."""
        return OpenAIFunctionToolSchema.model_validate(SEARCH_TOOL)

    async def create(self, instance_id: str | None = None, **kwargs: Any) -> tuple[str, ToolResponse]:
        """Creates an instance for the environment and question in `create_kwargs`."""
        key = instance_id or str(uuid4())
        self._instances[key] = kwargs.get("create_kwargs", kwargs)
        return key, ToolResponse()

    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict[str, Any]]:
        """Takes a search turn; the response is JSON with the numbered passages, or with a hint if it is refused."""
        agent_data = kwargs.get("agent_data")
        rollout = self._rollout(instance_id, agent_data)
        asked = parameters.get("query_list") if isinstance(parameters, Mapping) else parameters
        async with rollout.taking_turn:
            episode = rollout.play.episode
            queries, hits = len(episode.queries), len(episode.hits)
            text = await asyncio.to_thread(rollout.play.search, asked)
            found = [hit.id for hit in episode.hits]
            rollout.shown.append(text)
            if agent_data is not None:
                agent_data.extra_fields["berrypick"] = {
                    "question_id": episode.question.id, "queries": episode.queries, "passage_ids": found,
                    "observations": list(rollout.shown),
                }  # fmt: skip
        metrics = {"queries": episode.queries[queries:], "passage_ids": found[hits:], "num_passages": len(found) - hits}
        return ToolResponse(text=text), 0.0, metrics

    async def calc_reward(self, instance_id: str, **kwargs: Any) -> float:
        """The reward of the episode without an answer, e.g. its evidence recall."""
        return self._rollout(instance_id, kwargs.get("agent_data")).play.reward

    async def release(self, instance_id: str, **kwargs: Any) -> None:
        """Deletes the instance but not the episode of the rollout."""
        self._instances.pop(instance_id, None)

    def _rollout(self, instance_id: str, agent_data: Any) -> _Rollout:
        known = self._instances[instance_id] if agent_data is None else self._rollouts.get(agent_data)
        if isinstance(known, _Rollout):
            return known
        create = self._instances[instance_id]
        assert not isinstance(create, _Rollout)
        task = shared_task(create["env_id"], json.loads(create.get("arguments", "{}")))
        made = _Rollout(ToolEpisode(task, question_by_id(task, create["question_id"])))
        if agent_data is None:
            self._instances[instance_id] = made
        else:
            self._rollouts[agent_data] = made
        return made
