"""Plays a policy on a split and keeps the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...envs.episode import Episode
from ...envs.record import EpisodeRecord
from ...envs.recording import record_of
from ...envs.tasks.registry import Task
from ...policies.policy import Policy, Sampling
from ...policies.rollout import rollout
from ...retrieval_index.errors import BerrypickError
from .kept_rollouts import KeptRollouts

__all__ = ["evaluate"]


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
    on_progress: Callable[[int, Sequence[Episode]], None] | None = None,
) -> list[EpisodeRecord]:
    """Rollouts of the first `num_questions` questions of a split, as records.

    Questions are played in chunks of about `max_rows` episodes, all samples of a question in one chunk.

    Args:
        policy: plays.
        task: what is asked, over what.
        split: of the task.
        num_questions: None is all.
        num_samples: rollouts a question.
        sampling: how tokens are drawn.
        seed: of the rollouts.
        out: receives rollouts.jsonl, whole or not at all; until then each finished chunk is kept there, and a later
            call of the same settings plays what is missing.
        policy_id: in the records, instead of the policy's own.
        checkpoint_step: in the records.
        max_rows: most episodes played at a time.
        on_resume: told how many episodes were there already.
        on_progress: told after each batch of the number of episodes there are, and of the batch.

    Raises:
        BerrypickError: a number below 1, a question that stands twice, or a folder that cannot be written.
    """
    if num_samples < 1 or max_rows < 1:
        raise BerrypickError(f"num_samples and max_rows must be at least 1, got {num_samples} and {max_rows}")
    questions = task.split(split)[:num_questions]
    if len({question.id for question in questions}) < len(questions):
        raise BerrypickError("a question stands twice in one evaluation; ask for more num_samples instead")
    facts: dict[str, Any] = {
        "policy_id": policy_id or policy.policy_id,
        "checkpoint_step": checkpoint_step,
        "env_id": task.env_id,
        "index_id": task.searcher.index_id,
        "lexical": getattr(task.searcher, "is_lexical", False),
        "template_hash": getattr(policy, "template_hash", ""),
        "seed": seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    chunk = max(1, max_rows // num_samples)
    rules = {**facts, "spec": asdict(task.spec)}
    kept = None if out is None else KeptRollouts(out, questions, num_samples, rules, chunk=chunk)
    records = list(kept.records) if kept else []
    if records and on_resume:
        on_resume(len(records))
    run_id = out.name if out else policy.policy_id
    for first in range(len(records) // num_samples, len(questions), chunk):
        groups = rollout(
            policy,
            questions[first : first + chunk],
            task.spec,
            task.searcher,
            num_samples=num_samples,
            sampling=sampling,
            seed=seed,
            max_rows=max_rows,
            on_progress=_from(len(records), on_progress),
        )
        played = [
            record_of(episode, sample_index=sample, run_id=run_id, **facts)
            for group in groups
            for sample, episode in enumerate(group)
        ]
        records += played
        if kept:
            kept.add(played)
    if kept:
        kept.finish()
    return records


def _from(
    before: int, on_progress: Callable[[int, Sequence[Episode]], None] | None
) -> Callable[[int, Sequence[Episode]], None] | None:
    """Progress of one chunk as progress of the whole."""
    return on_progress and (lambda done, batch: on_progress(before + done, batch))
