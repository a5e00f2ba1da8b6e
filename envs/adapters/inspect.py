"""Inspect (`inspect_ai`): a task whose samples are questions and whose solver plays episodes. Tested with 0.3.285.

Inspect finds it by its name once berrypick is installed beside it: `inspect eval berrypick/search --model NAME`. The
log holds the whole record of each episode, so `berrypick report LOG` gives every measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from anyio import to_thread
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from ..episode import Draft, advance, start
from ..exporters.inspect_log import OURS, metadata_of, scores_of
from ..record import EpisodeRecord
from ..recording import record_of
from .tool_episode import question_by_id, shared_task

__all__ = ["answered", "episode", "search"]


@task  # type: ignore[untyped-decorator]
def search(
    env_id: str = "berrypick/World-v0", split: str = "test", num_questions: int | None = None, **arguments: Any
) -> Task:
    """The questions of a split, one episode for each sample and epoch.

    Args:
        env_id: id of the environment.
        split: split of its questions.
        num_questions: number of questions, from the start of the split; all by default.
        arguments: arguments of the environment, e.g. preset, corpus, questions and index.
    """
    ours = shared_task(env_id, arguments)
    samples = [
        Sample(
            id=question.id,
            input=[_message(message) for message in start(question, ours.spec).messages],
            target=list(question.answers),
        )
        for question in ours.split(split)[:num_questions]
    ]
    return Task(dataset=MemoryDataset(samples, name=env_id), solver=episode(env_id, arguments), scorer=answered())


@solver  # type: ignore[untyped-decorator]
def episode(env_id: str, arguments: Mapping[str, Any]) -> Solver:
    """Plays an episode: each reply of the model is a turn, and each observation is a user message."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        ours = shared_task(env_id, arguments)
        played = start(question_by_id(ours, str(state.sample_id)), ours.spec)
        while not played.done:
            state = await generate(state)
            draft = Draft(state.output.completion)
            result = (await to_thread.run_sync(partial(advance, [played], [draft], ours.searcher)))[0]
            # What follows the action is no part of the turn, and the next turn must not build on it.
            state.messages[-1].content = played.turns[-1].draft.text
            if result.observation:
                state.messages.append(ChatMessageUser(content=result.observation))
        record = record_of(
            played,
            sample_index=state.epoch - 1,
            seed=0,
            policy_id=str(state.model),
            env_id=env_id,
            index_id=ours.searcher.index_id,
        )
        state.metadata[OURS] = metadata_of(record)
        return state

    return solve


@scorer(metrics={"*": [mean(), stderr()]})  # type: ignore[untyped-decorator]
def answered() -> Scorer:
    """The scores of the episode: exact match, F1 and reward, and how much of the evidence was shown."""

    async def score(state: TaskState, target: Target) -> Score:
        record = EpisodeRecord.model_validate({**state.metadata[OURS], "turns": []})
        return Score(value=scores_of(record), answer=record.answer_raw)

    return score


def _message(message: Mapping[str, str]) -> ChatMessage:
    kinds: dict[str, type[Any]] = {
        "system": ChatMessageSystem,
        "user": ChatMessageUser,
        "assistant": ChatMessageAssistant,
    }
    made: ChatMessage = kinds[message["role"]](content=message["content"])
    return made
