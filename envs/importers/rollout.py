"""A rollout as an importer reads it, and the record that is made of it: its group, its scores, its unknown parts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..answers import exact_match, f1, normalize, sub_exact_match
from ..record import EpisodeRecord, QuestionRecord, TurnRecord
from .digests import digest

__all__ = ["EQUAL_PROMPTS", "Groups", "Rollout"]

EQUAL_PROMPTS = "equal prompts"
"""What makes a group where a format has no id of it."""


@dataclass(slots=True)
class Rollout:
    """One episode of another system. Only the question is required; None and empty values mean "not in the log".

    Attributes:
        question: text of the question.
        answers: accepted forms of the right answer; without them the rollout is not graded.
        turns: see `turns_of_text`, `turns_of_messages` and `answer_turn`.
        answer: what the policy answered.
        reward: what the other system gave.
        prompt: everything the policy was shown first; equal prompts are one group. The question by default.
        group: the other system's id of the group, if it has one.
        group_from: where `group` comes from, for the summary, e.g. "uid".
        step: training step of the checkpoint.
        policy: name of the model.
        env: name of the environment or data set.
        metadata: of the question; JSON-able.
        scores: other numbers of the other system, by name.
        policy_tokens: number of tokens that the policy wrote.
        unknown: parts that the log does not tell: "queries", "passages", "turns".
        truncated: the episode was cut off before an answer, if the log says so.
    """

    question: str
    answers: Sequence[str] = ()
    turns: list[TurnRecord] = field(default_factory=list)
    answer: str | None = None
    reward: float | None = None
    prompt: str | None = None
    group: str | None = None
    group_from: str = EQUAL_PROMPTS
    step: int | None = None
    policy: str = ""
    env: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    policy_tokens: int | None = None
    unknown: Sequence[str] = ()
    truncated: bool | None = None


class Groups:
    """Makes records and counts the samples of each group.

    Attributes:
        sources: where the ids of the groups came from.
    """

    def __init__(self) -> None:
        self._sizes: Counter[str] = Counter()
        self.sources: set[str] = set()

    def record(self, rollout: Rollout) -> EpisodeRecord:
        """The record of a rollout, graded by us if the right answer is known.

        Raises:
            ValueError: there is no question, or a number is not finite.
        """
        if not rollout.question.strip():
            raise ValueError("the question is empty")
        if rollout.reward is not None and not math.isfinite(rollout.reward):
            raise ValueError("the reward is not a finite number")
        answers, said = list(rollout.answers), rollout.answer
        words = " ".join(rollout.question.split())
        # The answers are part of the id: one id must not stand for a graded and an ungraded question.
        question = QuestionRecord(
            id=f"q-{digest(words, *sorted(answers))}", text=rollout.question, answers=answers, metadata=rollout.metadata
        )
        group = digest(rollout.group if rollout.group is not None else rollout.prompt or words, rollout.step)
        self.sources.add(rollout.group_from if rollout.group is not None else EQUAL_PROMPTS)
        index = self._sizes[group]
        self._sizes[group] += 1
        graded = bool(answers)
        cut = said is None if rollout.truncated is None else rollout.truncated
        extra: dict[str, Any] = {"scores": rollout.scores} if rollout.scores else {}
        return EpisodeRecord(
            policy_id=rollout.policy,
            env_id=rollout.env,
            checkpoint_step=rollout.step,
            question=question,
            group_id=f"g-{group}",
            sample_index=index,
            turns=rollout.turns,
            answer_raw=said,
            answer_norm=None if said is None else normalize(said),
            em=_score(exact_match(said or "", answers), said) if graded else None,
            sub_em=_score(sub_exact_match(said or "", answers), said) if graded else None,
            f1=_score(f1(said or "", answers), said) if graded else None,
            reward=rollout.reward,
            policy_tokens=rollout.policy_tokens,
            terminated=said is not None,
            truncated=cut,
            unknown=list(rollout.unknown) or None,
            **extra,
        )


def _score(value: float, said: str | None) -> float:
    """No answer scores 0, even where the right answer normalizes to nothing."""
    return 0.0 if said is None else value
