"""Demonstrations of what to do with a comment, for language models: retries whose questions have a line below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...envs.episode import Episode
from ...envs.questions import Question
from ...envs.tasks.registry import Task
from ...policies.kind_shares import shares_of
from ...policies.policy import Sampling
from ...policies.rollout import rollout
from ...policies.scripted_rules import ScriptedPolicy, shares_policy
from ...policies.tabular.retry_rounds import OBEYS

__all__ = ["commented_demonstrations"]

NAMING = 2 / 3
"""Share of the comments that name kinds of record."""


def commented_demonstrations(task: Task, start: str, seed: int) -> list[Episode]:
    """Episodes of a demonstrator in shares, and for each that fails a retry, whose question has a comment.

    Two comments of three name the void kinds of the failed episode, and nine retries of ten avoid these; the third says
    "unknown". Retries are whole, failures among them.
    """
    # loads torch, which listing experiments does without
    from ...policies.training.critique import unknown, void_kinds, void_records, with_comment

    shown = task.split("train")
    first = _play(shares_policy(start), task, shown, seed)
    wrong = [episode for episode in first if not episode.correct]
    draws = np.random.default_rng((seed, 53)).random((len(wrong), 2))
    told = draws[:, 0] < NAMING
    avoided = {
        episode.question.id: void_kinds(episode) if tells and draw < OBEYS else ()
        for episode, tells, draw in zip(wrong, told, draws[:, 1])
    }
    shares = np.array(shares_of(start))

    def orders(row: Any) -> list[list[int]]:
        """Kinds drawn in the shares, those to avoid last."""
        kinds, avoid = row.world.kinds, avoided[row.question.id]
        out = []
        for hop in range(row.world.hops):
            drawn = row.generator.choice(len(kinds), len(kinds), False, shares / shares.sum()).tolist()
            out.append(sorted(drawn, key=lambda kind: bool(avoid) and kinds[kind] in avoid[hop]))
        return out

    demonstrator = ScriptedPolicy("avoids", "draws kinds in given proportions, named ones last", orders)
    again = _play(demonstrator, task, [one.question for one in wrong], seed + 1)
    comments = [void_records(episode) if tells else unknown(episode) for episode, tells in zip(wrong, told)]
    return [
        *first,
        *(replace(one, question=with_comment(one.question, comment)) for one, comment in zip(again, comments)),
    ]


def _play(policy: ScriptedPolicy, task: Task, questions: Sequence[Question], seed: int) -> list[Episode]:
    groups = rollout(
        policy, questions, task.spec, task.searcher, num_samples=1, sampling=Sampling(), seed=seed, max_rows=4096
    )
    return [group[0] for group in groups]
