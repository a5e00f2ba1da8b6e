"""What a team of language models does on test questions: how often right, how unlike its agents, and who copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ...envs.answers import exact_match
from ...envs.metrics.accuracy import pass_at_k
from ...envs.questions import Question
from ...envs.tasks.registry import Task
from ...policies.policy import Policy, Sampling
from .language_worlds import play_groups

if TYPE_CHECKING:
    from ...policies.training.multiagent import Debate

__all__ = ["LANGUAGE_MEASURES", "TOKENS", "label_accuracy", "play_debate", "team_measures", "unlikeness"]

LANGUAGE_MEASURES = (
    "system", "vote_first", "vote_last", "pass@1", "pass@4", "wrong", "across", "within", "excess", "copies",
    "labels_accuracy", "data", "system_later",
)  # fmt: skip
"""Those of tables, from rollouts: across and within are the chances that episodes of two agents, and of one, were
shown different passages. copies: of critics whom others contradict, the share that answers what these say without a
search of its own. system_later: what was gained since round 1."""

_UNKNOWN = frozenset({"unknown"})
TOKENS = 48
"""Most tokens of a turn."""


def play_debate(
    generators: Sequence[Policy],
    critics: Sequence[Policy],
    task: Task,
    questions: Sequence[Question],
    rounds: int,
    seed: int,
) -> Debate:
    """A debate on some questions; with one round it has no critics. "unknown" is no answer."""
    from ...policies.training.multiagent import DebateConfig, debate

    config = DebateConfig(rounds, sampling=Sampling(max_new_tokens=TOKENS), seed=seed, abstentions=_UNKNOWN)
    return debate(generators, critics, questions, task.spec, task.searcher, config)


def team_measures(
    generators: Sequence[Policy], critics: Sequence[Policy], task: Task, config: Mapping[str, Any]
) -> dict[str, float]:
    """Those of `LANGUAGE_MEASURES` that need no training data."""
    from ...policies.training.multiagent import answer_of, majority

    questions = task.split("test")
    groups = [
        play_groups(one, task, questions, config["samples"], 977 + at, max_new_tokens=TOKENS)
        for at, one in enumerate(generators)
    ]
    episodes = [episode for agent in groups for group in agent for episode in group]
    played = play_debate(generators, critics, task, questions, 2, 7_000_000 + config["seed"])
    first = [[answer_of(rounds[0][at], _UNKNOWN) for rounds in played.episodes] for at in range(len(questions))]
    votes = [majority(answers) for answers in first]
    right = [vote is not None and bool(exact_match(vote, one.answers)) for vote, one in zip(votes, questions)]
    across, within = unlikeness([[[one.shown_ids for one in group] for group in agent] for agent in groups])
    many = [pass_at_k(len(group), sum(one.correct for one in group), 4) for agent in groups for group in agent]
    vote_first, vote_last = float(np.mean(right)), played.vote_accuracy
    return {
        "pass@1": float(np.mean([one.correct for one in episodes])),
        "pass@4": float(np.mean(many)),
        "wrong": float(np.mean([not one.correct and answer_of(one, _UNKNOWN) is not None for one in episodes])),
        "vote_first": vote_first,
        "vote_last": vote_last,
        "system": vote_first if config["arm"] == "single" else vote_last,
        "across": across,
        "within": within,
        "excess": across - within,
        "copies": _copies(played, first),
    }


def unlikeness(shown: Sequence[Sequence[Sequence[frozenset[str]]]]) -> tuple[float, float]:
    """Chances that two episodes of a question were shown different passages: of two agents, and of one; unbiased.

    Args:
        shown: [agent][question][sample].
    """
    across = [
        float(np.mean([one != other for one in first for other in second]))
        for a, b in combinations(shown, 2)
        for first, second in zip(a, b)
    ]
    within = [
        float(np.mean([one != other for one, other in combinations(group, 2)])) for agent in shown for group in agent
    ]
    return float(np.mean(across)), float(np.mean(within))


def _copies(played: Debate, first: Sequence[Sequence[str | None]]) -> float:
    """See `LANGUAGE_MEASURES`; NaN if nobody was contradicted."""
    from ...policies.training.multiagent import answer_of

    found = []
    for agent, rounds in enumerate(played.episodes):
        for answers, last in zip(first, rounds[-1]):
            rivals = {one for at, one in enumerate(answers) if at != agent and one is not None} - {answers[agent]}
            if rivals:
                found.append(not last.queries and answer_of(last, _UNKNOWN) in rivals)
    return float(np.mean(found)) if found else float("nan")


def label_accuracy(played: Debate) -> float:
    """Of the questions with a vote, the share whose vote is right; NaN without any."""
    known = sum(vote is not None for vote in played.votes)
    return played.vote_accuracy * len(played.votes) / known if known else float("nan")
