"""SkyRL-Gym: an environment of SkyRL's `BaseTextEnv` class. Tested with skyrl-gym 0.4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

from ...retrieval_index.errors import BerrypickError
from ..episode import Draft, Episode, advance, start
from ..formats.turn_format import get_turn_format
from .tool_episode import question_by_id, shared_task

__all__ = ["BerrypickTextEnv", "skyrl_rows"]


class BerrypickTextEnv(BaseTextEnv):  # type: ignore[misc]
    """One episode with SkyRL's methods `init` and `step`.

    `env_config` has `env_id` and any arguments of that environment. `extras["extra_info"]["question_id"]`, or
    `extras["question_id"]`, names the question. All environments of a process share the searcher.
    Register it with `skyrl_gym.register(id="berrypick", entry_point="berrypick.envs.adapters.skyrl:BerrypickTextEnv")`.
    """

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        arguments = dict(env_config or {})
        env_id = arguments.pop("env_id", "berrypick/World-v0")
        given = dict(extras or {})
        question_id = (given.get("extra_info") or {}).get("question_id", given.get("question_id"))
        if question_id is None:
            raise BerrypickError("extras must name the question: extras['extra_info']['question_id']; see skyrl_rows")
        self._task = shared_task(env_id, arguments)
        self.episode: Episode = start(question_by_id(self._task, question_id), self._task.spec)
        self.max_turns = self._task.spec.max_turns
        self._metrics: dict[str, Any] = {}

    def init(self, prompt: list[dict[str, str]] | None = None) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """The messages that open the episode: those of the row, or the environment's if the row has none."""
        return prompt or self.episode.messages, {"question_id": self.episode.question.id}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Takes one turn."""
        self.turns += 1
        result = advance([self.episode], [Draft(action)], self._task.searcher)[0]
        self._metrics = {k: v for k, v in result.info.items() if "/" in k and isinstance(v, int | float)}
        turn_format = get_turn_format(self.episode.spec.turn_format)
        done = result.terminated or result.truncated
        return BaseTextEnvStepOutput(
            observations=[] if done else [turn_format.message(result.observation)],
            reward=result.reward,
            done=done,
            metadata={key: value for key, value in result.info.items() if key != "messages"},
            postprocessed_action=self.episode.turns[-1].draft.text,
        )

    def get_metrics(self) -> dict[str, Any]:
        """The episode's counters after the last step."""
        return dict(self._metrics)


def skyrl_rows(env_id: str, split: str, **arguments: Any) -> list[dict[str, Any]]:
    """Rows of a SkyRL data set, one per question."""
    task = shared_task(env_id, arguments)
    return [
        {
            "data_source": env_id,
            "prompt": start(question, task.spec).messages,
            "env_class": "berrypick",
            "reward_spec": {"method": "rule", "ground_truth": {"target": list(question.answers)}},
            "extra_info": {"index": index, "question_id": question.id, "question": question.text, "split": split},
        }
        for index, question in enumerate(task.split(split))
    ]
