"""The Gymnasium environment: the action is the text of a turn, the observation is the text that answers it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded

from ..retrieval_index.errors import BerrypickError, UnknownNameError
from ..retrieval_index.plain_text import safe_text
from .episode import Draft, Episode, advance, start
from .questions import Question
from .tasks.registry import Task, make_task
from .unicode_text import UnicodeText

__all__ = ["RESET_OPTIONS", "SearchEnv", "check_action", "choose_question", "make_search_env"]

RESET_OPTIONS = ("question_id", "split")
"""Keys of `reset(options=...)`."""


class SearchEnv(gym.Env[str, str]):
    """Multi-hop question answering with a search engine.

    Action space
        `UnicodeText`: any text. It is one turn of the policy, for example
        `<think> ... </think> <search> query </search>` or `<answer> answer </answer>`. The argument `turn_format`
        decides how turns are written. Text after the first closing tag is cut. A turn that is neither a search nor an
        answer, or is longer than 100,000 characters, gets a hint and uses up a turn but no search budget. An action
        that is not a text is an error. Only the policy's text is parsed.

    Observation space
        `UnicodeText`. `reset` returns the last user message of the prompt. `step` returns only the new text: passages,
        numbered `[n]` over the whole episode, or a hint. `info["messages"]` is the whole conversation.

    Rewards
        Zero until the episode ends, then the sum of terms in `reward`, for example `"em + 0.2*evidence_recall"`.

    Episode end
        An answer terminates the episode. It is truncated after `max_turns` turns, or if the searcher is unavailable.
        `search_budget` counts queries. A search that would exceed it is refused as a whole and uses up only the turn;
        the policy can still answer. A step after the end raises Gymnasium's `ResetNeeded`.

    Reset
        `reset(seed=s)` asks a question that depends only on the seed and the split. A group of rollouts repeats a seed.
        `options={"question_id": ...}` asks that question, and `options={"split": ...}` uses another split for this
        episode. `gym.make(..., split=NAME)` sets the split of the environment. The default is "train"; if that has no
        questions, it is the first split that has some, and a World logs which one.

    Info
        After `reset`: only `question_id` and `messages`. After every `step` also `retrieved_ids` and `retrieved_scores`
        [query][rank], `hops_hit` [path][hop], `error` of the turn or None, and counters of the whole episode:
        `env/number_of_actions`, `env/number_of_valid_action`, `env/number_of_valid_search` (queries),
        `env/ratio_of_valid_action`, `env/finish_ratio`, `env/search_unavailable`, `search/num_distinct_passages`, and
        `search/budget_left` (None is unlimited).

    Rendering
        With `gym.make(..., render_mode="ansi")`, `render` returns the conversation so far, one line per message.

    Version history
        v0: first version.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(self, task: Task, *, split: str | None = None, render_mode: str | None = None) -> None:
        if render_mode not in (None, "ansi"):
            raise UnknownNameError("render mode", str(render_mode), ["ansi"])
        self.task = task
        self.split = task.split_to_ask(split)
        self.render_mode = render_mode
        self.action_space = UnicodeText()
        self.observation_space = UnicodeText()
        self._by_id = {question.id: question for questions in task.questions.values() for question in questions}
        self._episode: Episode | None = None

    @property
    def episode(self) -> Episode:
        """The current episode; raises Gymnasium's `ResetNeeded` before the first reset."""
        if self._episode is None:
            raise ResetNeeded("no episode yet; call reset() first")
        return self._episode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts an episode; see the class for `seed` and `options`."""
        super().reset(seed=seed)
        question = choose_question(self.task, self._by_id, options or {}, self.split, self.np_random)
        self._episode = start(question, self.task.spec)
        messages = self._episode.messages
        return messages[-1]["content"], {"question_id": self._episode.question.id, "messages": messages}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Takes one turn.

        Raises:
            BerrypickError: the action is not a text. Malformed text is not an error; it gets a hint.
            ResetNeeded: the episode has ended.
        """
        draft = Draft(check_action(action))
        if self.episode.done:
            raise ResetNeeded("the episode has ended; call reset() before the next step()")
        result = advance([self.episode], [draft], self.task.searcher)[0]
        return result.observation, result.reward, result.terminated, result.truncated, result.info

    def render(self) -> str | None:  # type: ignore[override]
        """The conversation so far as text, in render mode "ansi"."""
        if self.render_mode != "ansi":
            return None
        return "\n".join(f"{m['role']}: {safe_text(m['content'].strip())}" for m in self.episode.messages)

    def close(self) -> None:
        """Closes the searcher."""
        self.task.searcher.close()


def choose_question(
    task: Task, by_id: Mapping[str, Question], options: Mapping[str, Any], split: str, generator: np.random.Generator
) -> Question:
    """The question of a reset: the one that `options["question_id"]` names, or one drawn from a split.

    Raises:
        UnknownNameError: no such option, question id or split; the message offers the nearest ones.
    """
    for name in options:
        if name not in RESET_OPTIONS:
            raise UnknownNameError("reset option", str(name), RESET_OPTIONS)
    wanted = options.get("question_id")
    if wanted is not None:
        if isinstance(wanted, str) and wanted in by_id:
            return by_id[wanted]
        near = difflib.get_close_matches(str(wanted), by_id, n=3, cutoff=0.6) or sorted(by_id)[:3]
        raise UnknownNameError("question id", str(wanted), near)
    questions = task.split(options.get("split", split))
    return questions[int(generator.integers(len(questions)))]


def check_action(action: object) -> str:
    """The action if it is a text. Malformed text is not an error; it gets a hint."""
    if not isinstance(action, str):
        raise BerrypickError(f"an action must be a text, got {type(action).__name__}; give the policy's turn as str")
    return action


def make_search_env(
    env_id: str, *, split: str | None = None, render_mode: str | None = None, **arguments: Any
) -> SearchEnv:
    """Entry point of all registered ids; docs/environments.md lists their arguments."""
    return SearchEnv(make_task(env_id, **arguments), split=split, render_mode=render_mode)
