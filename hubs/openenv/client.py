"""The client: one session on a server, over one WebSocket."""

from typing import Any

from openenv.core import EnvClient
from openenv.core.client_types import StepResult

from .models import SearchAction, SearchObservation, SearchState

__all__ = ["BerrypickSearchEnv"]


class BerrypickSearchEnv(EnvClient[SearchAction, SearchObservation, SearchState]):
    """Plays episodes on a server. `reset` takes seed, question_id and split."""

    def _step_payload(self, action: SearchAction) -> dict[str, Any]:
        return {"text": action.text}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[SearchObservation]:
        reward, done = payload.get("reward"), bool(payload.get("done"))
        told = payload.get("observation") or {}
        observation = SearchObservation.model_validate({**told, "reward": reward, "done": done})
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> SearchState:
        return SearchState.model_validate(payload)
