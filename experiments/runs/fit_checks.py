"""Checks before a long phase: does one episode fit into the model's window, and does its tokenizer know roles?"""

from __future__ import annotations

import logging

from ...envs.data.splits import some_questions
from ...envs.tasks.registry import Task
from ...policies.language.episode_rows import rows_of
from ...policies.language.model import LanguageModelPolicy
from ...policies.policy import Sampling
from ...policies.rollout import rollout
from ...policies.scripted import scripted_policy
from ...retrieval_index.errors import BerrypickError

__all__ = ["check_fit"]

logger = logging.getLogger(__name__)

_PROBES = 16
"""Questions whose shortest episode is measured."""


def check_fit(policy: LanguageModelPolicy, task: Task, split: str) -> None:
    """Checks that a policy can play a split.

    A tokenizer without a chat template gets one warning line where the task is explained to the model or the format has
    roles. The shortest episode is a search for the question and an answer, measured on a few questions.

    Raises:
        BerrypickError: none of these episodes fits into the policy's window.
    """
    spec = task.spec
    if not policy.tokenizer.chat_template and (spec.template == "instruct" or spec.turn_format == "tool_call"):
        logger.warning(
            "the tokenizer of %s has no chat template, so prompts are plain text without roles; choose weights with "
            "one (an instruct model), or --env-arg template=bare and train on demonstrations",
            policy.policy_id,
        )
    groups = rollout(
        scripted_policy("question"),
        some_questions(task.split(split), _PROBES, 0),
        spec,
        task.searcher,
        num_samples=1,
        sampling=Sampling(),
        seed=0,
    )
    lengths = [len(ids) for ids in rows_of(policy, [group[0] for group in groups]).ids]
    too_long = sum(length > policy.window for length in lengths)
    if too_long == len(lengths):
        raise BerrypickError(
            f"the window of {policy.policy_id} has {policy.window} tokens, but a search and an answer take "
            f"{min(lengths)} or more; lower top_k or max_passage_words (--env-arg), or choose a model with a longer "
            "window"
        )
    if too_long:
        logger.warning(
            "%d of %d episodes of one search exceed the window of %d tokens of %s; lower top_k or max_passage_words",
            too_long,
            len(lengths),
            policy.window,
            policy.policy_id,
        )
