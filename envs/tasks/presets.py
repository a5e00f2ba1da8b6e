"""Named evaluation settings of published agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...retrieval_index.errors import UnknownNameError
from .registry import task_arguments

__all__ = ["EVALUATION_PRESETS", "EvaluationPreset", "evaluation_preset"]


@dataclass(frozen=True, slots=True)
class EvaluationPreset:
    """The prompt and the limits of a published agent.

    Attributes:
        summary: one line about it, with its source.
        env_arguments: arguments of the environment.
        max_new_tokens: maximum number of tokens of one turn.
    """

    summary: str
    env_arguments: Mapping[str, Any]
    max_new_tokens: int

    def arguments_for(self, env_id: str) -> dict[str, Any]:
        """Those arguments of the preset that this environment accepts."""
        known = task_arguments(env_id)
        return {name: value for name, value in self.env_arguments.items() if name in known}


EVALUATION_PRESETS: Mapping[str, EvaluationPreset] = {
    "search-r1": EvaluationPreset(
        "Search-R1 (arXiv 2503.09516): its prompt and tags, top 3, four searches and a last turn, observations cut to "
        "500 tokens of the policy's tokenizer (2,000 characters if the policy has none), responses of 500 tokens, "
        "exact match",
        {
            "turn_format": "search_r1",
            "template": "instruct",
            "top_k": 3,
            "max_turns": 5,
            "search_budget": -1,
            "max_observation_chars": 2000,
            "max_observation_tokens": 500,
            "reward": "em",
        },
        500,
    ),
}
"""Name -> published setting."""


def evaluation_preset(name: str) -> EvaluationPreset:
    """The preset of a name; an unknown name raises `UnknownNameError`."""
    if name not in EVALUATION_PRESETS:
        raise UnknownNameError("preset", name, EVALUATION_PRESETS)
    return EVALUATION_PRESETS[name]
