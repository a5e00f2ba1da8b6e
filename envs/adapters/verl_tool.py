"""verl's search tool over our environments."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

from ..tool_call_format import SEARCH_TOOL
from .tool_episode import ToolEpisode, question_by_id, shared_task

__all__ = ["BerrypickSearchTool"]


class BerrypickSearchTool(BaseTool):  # type: ignore[misc]
    """`search(query_list)`; rows of `verl_rows` tell it environment and question.

    verl makes an instance for each call, so the budget of an episode is the loop's `max_assistant_turns`, not ours.
    Metrics hold the queries and the ids of the passages found, which verl's own dumps lack.
    """

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None) -> None:
        super().__init__(config, tool_schema or self.get_openai_tool_schema())
        self._open: dict[str, ToolEpisode] = {}

    def get_openai_tool_schema(self) -> OpenAIFunctionToolSchema:
        """The schema of `search`."""
        return OpenAIFunctionToolSchema.model_validate(SEARCH_TOOL)

    async def create(self, instance_id: str | None = None, **kwargs: Any) -> tuple[str, ToolResponse]:
        """Opens an instance for the environment and question of `create_kwargs`."""
        given = kwargs.get("create_kwargs", kwargs)
        task = shared_task(given["env_id"], json.loads(given.get("arguments", "{}")))
        key = instance_id or str(uuid4())
        self._open[key] = ToolEpisode(task, question_by_id(task, given["question_id"]))
        return key, ToolResponse()

    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict[str, Any]]:
        """Searches; the response is JSON with the numbered passages."""
        play = self._open[instance_id]
        before = len(play.episode.hits)
        text = play.search(parameters.get("query_list"))
        found = play.episode.hits[before:]
        queries = list(parameters.get("query_list") or []) if found or play.episode.queries else []
        metrics = {"queries": queries, "passage_ids": [hit.id for hit in found], "num_passages": len(found)}
        return ToolResponse(text=text), 0.0, metrics

    async def calc_reward(self, instance_id: str, **kwargs: Any) -> float:
        """The reward spec without an answer, e.g. evidence recall."""
        return self._open[instance_id].reward

    async def release(self, instance_id: str, **kwargs: Any) -> None:
        """Forgets the instance."""
        self._open.pop(instance_id, None)
