"""`evaluate`: plays a policy on a split and records its episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from ...envs.episode import Episode
from ...envs.questions import Question, rules_of
from ...envs.record import EpisodeRecord
from ...envs.recording import record_of
from ...envs.tasks.registry import Task
from ...policies.policy import Policy, Sampling
from ...policies.rollout import rollout, rows_at_a_time
from ...retrieval_index.errors import BerrypickError
from .partial_rollouts import PartialRollouts

__all__ = ["evaluate"]

_Progress = Callable[[int, Sequence[Episode]], None]
"""Called with the number of episodes played so far and the newest of them."""


def evaluate(
    policy: Policy,
    task: Task,
    *,
    split: str,
    num_questions: int | None,
    num_samples: int,
    sampling: Sampling,
    seed: int,
    out: Path | None = None,
    policy_id: str | None = None,
    checkpoint_step: int | None = None,
    max_rows: int = 512,
    on_resume: Callable[[int], None] | None = None,
    on_progress: _Progress | None = None,
) -> list[EpisodeRecord]:
    """Plays the first `num_questions` questions of a split and returns the records of the episodes.

    Questions are played in chunks of about `max_rows` episodes, with all samples of a question in one chunk.

    Args:
        policy: the policy to evaluate.
        task: questions, rules and searcher.
        split: split of the task.
        num_questions: number of questions; None plays all.
        num_samples: rollouts per question.
        sampling: how tokens are drawn.
        seed: seed of the rollouts.
        out: receives rollouts.jsonl once all questions are played. Until then, finished chunks are saved there in a
            partial file, and a later call with the same settings plays only what is missing.
        policy_id: recorded instead of the policy's own id.
        checkpoint_step: recorded with each episode.
        max_rows: maximum number of episodes played at a time.
        on_resume: called with the number of episodes taken over from an earlier call, if there are any.
        on_progress: called after each batch with the number of episodes so far and the batch.

    Raises:
        BerrypickError: a number below 1, a duplicate question, or a folder that cannot be written.
    """
    questions = _checked_questions(task, split, num_questions, num_samples, max_rows)
    facts = _facts(policy, task, sampling, seed, policy_id, checkpoint_step, len(questions) * num_samples)
    rows = rows_at_a_time(policy, questions, task.spec, sampling, num_samples, max_rows)
    chunk = max(1, rows // num_samples)
    shared = {**facts, "spec": rules_of(task.spec)}
    partial = None if out is None else PartialRollouts(out, questions, num_samples, shared, chunk=chunk)
    records = list(partial.records) if partial else []
    if records and on_resume:
        on_resume(len(records))
    run_id = out.name if out else policy.policy_id
    for first in range(len(records) // num_samples, len(questions), chunk):
        progress = _after(len(records), on_progress)
        asked = questions[first : first + chunk]
        played = _play(policy, task, asked, num_samples, sampling, max_rows, run_id, facts, progress)
        records += played
        if partial:
            partial.add(played)
    if partial:
        partial.finish()
    return records


def _checked_questions(
    task: Task, split: str, num_questions: int | None, num_samples: int, max_rows: int
) -> Sequence[Question]:
    if num_samples < 1 or max_rows < 1:
        raise BerrypickError(f"num_samples and max_rows must be at least 1, got {num_samples} and {max_rows}")
    questions = task.split(split)[:num_questions]
    if len({question.id for question in questions}) < len(questions):
        raise BerrypickError("duplicate question in one evaluation; give a higher num_samples instead")
    return questions


class _Facts(TypedDict):
    """Fields that all records of an evaluation share."""

    policy_id: str
    checkpoint_step: int | None
    env_id: str
    index_id: str
    lexical: bool
    template_hash: str
    seed: int
    temperature: float
    top_p: float
    num_rollouts: int


def _facts(
    policy: Policy,
    task: Task,
    sampling: Sampling,
    seed: int,
    policy_id: str | None,
    checkpoint_step: int | None,
    num_rollouts: int,
) -> _Facts:
    return {
        "policy_id": policy_id or policy.policy_id,
        "checkpoint_step": checkpoint_step,
        "env_id": task.env_id,
        "index_id": task.searcher.index_id,
        "lexical": getattr(task.searcher, "is_lexical", False),
        "template_hash": getattr(policy, "template_hash", ""),
        "seed": seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "num_rollouts": num_rollouts,
    }


def _play(
    policy: Policy,
    task: Task,
    questions: Sequence[Question],
    num_samples: int,
    sampling: Sampling,
    max_rows: int,
    run_id: str,
    facts: _Facts,
    on_progress: _Progress | None,
) -> list[EpisodeRecord]:
    """Plays one chunk of questions; records come question by question, the samples of each in order."""
    groups = rollout(
        policy,
        questions,
        task.spec,
        task.searcher,
        num_samples=num_samples,
        sampling=sampling,
        seed=facts["seed"],
        max_rows=max_rows,
        on_progress=on_progress,
    )
    return [
        record_of(episode, sample_index=sample, run_id=run_id, **facts)
        for group in groups
        for sample, episode in enumerate(group)
    ]


def _after(before: int, on_progress: _Progress | None) -> _Progress | None:
    """Turns progress within a chunk into progress within the evaluation."""
    return on_progress and (lambda done, batch: on_progress(before + done, batch))
