"""An episode that is played by function calls instead of text, for trainers whose models call tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ...retrieval_index.errors import UnknownNameError
from ..episode import OVER_BUDGET, Draft, Episode, advance, start
from ..formats.actions import Invalid
from ..formats.prompt_words import question_words
from ..formats.tool_call import call_text, without_action_tags
from ..questions import Question
from ..rewards import parse_reward
from ..tasks.registry import make_task
from ..tasks.task import Task
from ..world.facts import WorldFacts

__all__ = ["ToolEpisode", "question_by_id", "shared_task", "tool_instruction"]

ENDED = "the episode has ended"
"""The answer to every call after the end."""


def shared_task(env_id: str, arguments: Mapping[str, Any]) -> Task:
    """A task that all environments of a process share, so that its index is built once.

    Trainers encode observations themselves, so spellings of control tokens in questions and passages are broken
    (`escape_special_tokens=True`) unless the arguments say otherwise.
    """
    return _shared_task(env_id, json.dumps(dict(arguments), sort_keys=True))


@lru_cache(maxsize=4)
def _shared_task(env_id: str, arguments: str) -> Task:
    return make_task(env_id, **{"escape_special_tokens": True} | json.loads(arguments))


def question_by_id(task: Task, question_id: str) -> Question:
    """The question with this id, from any split; an unknown id raises `UnknownNameError`."""
    for questions in task.questions.values():
        for question in questions:
            if question.id == question_id:
                return question
    raise UnknownNameError("question id", str(question_id), [q.id for qs in task.questions.values() for q in qs[:3]])


def tool_instruction(task: Task, question: Question) -> str:
    """The question and the rules, as a prompt for a model with the tools `search` and `answer`."""
    spec = task.spec
    limit = spec.max_turns - 1 if spec.search_budget is None else spec.search_budget
    world = WorldFacts.of(question)
    kinds = f" A query names one record kind ({', '.join(world.kinds)}), relation and person." if world else ""
    return (
        f"Answer the question. Find passages with the tool search, {limit} queries at most.{kinds} "
        f"When you know the answer, give it, short, with the tool answer.\nQuestion: {question_words(question, spec)}"
    )


class ToolEpisode:
    """One episode. `search` and `answer` return the text to show to the model and never raise for bad arguments."""

    def __init__(self, task: Task, question: Question) -> None:
        self.task = task
        self.episode: Episode = start(question, replace(task.spec, turn_format="tool_call"))

    def search(self, queries: Sequence[str] | object) -> str:
        """Takes a search turn for exactly these texts; returns JSON with the numbered passages, or why it is refused.

        No text of a query is read as an action: a search never answers.
        """
        try:
            text = call_text("search", {"query_list": queries})
        except (TypeError, ValueError, RecursionError):
            text = call_text("search", {"query_list": None})  # an invalid call, which gets a hint
        return self._take(text)

    def answer(self, text: object) -> str:
        """Takes the answer turn; returns a confirmation, or why the answer is refused. It never searches."""
        return self._take(f"<answer>{without_action_tags(str(text))}</answer>") or "answer noted"

    def _take(self, text: str) -> str:
        if self.episode.done:
            return ENDED
        observation = advance([self.episode], [Draft(text)], self.task.searcher)[0].observation
        turn = self.episode.turns[-1]
        # The format's own hints speak of tags, which a model that calls functions never sees.
        if isinstance(turn.action, Invalid):
            return json.dumps({"error": f"invalid turn: {turn.action.reason}"})
        if turn.error == OVER_BUDGET:
            return json.dumps({"error": "not so many searches left: ask fewer queries or give the answer"})
        return self.episode.messages[-1]["content"] if observation else ""

    @property
    def reward(self) -> float:
        """The reward of the episode. Before the end, it is the reward the episode would have without an answer."""
        if self.episode.done:
            return self.episode.reward
        return float(parse_reward(self.episode.spec.reward)(self.episode.facts()))
