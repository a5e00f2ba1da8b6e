"""Plays a policy on a split and keeps the record."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..envs.episode import Episode
from ..envs.record import EpisodeRecord, write_records
from ..envs.recording import record_of
from ..envs.tasks import Task
from ..policies.policy import Policy, Sampling
from ..policies.rollout import rollout

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
    on_progress: Callable[[int, Sequence[Episode]], None] | None = None,
) -> list[EpisodeRecord]:
    """Rollouts of the first `num_questions` questions of a split, as records.

    `out` receives rollouts.jsonl, whole or not at all.
    """
    questions = task.split(split)[:num_questions]
    groups = rollout(
        policy,
        questions,
        task.spec,
        task.searcher,
        num_samples=num_samples,
        sampling=sampling,
        seed=seed,
        max_rows=max_rows,
        on_progress=on_progress,
    )
    records = [
        record_of(
            episode,
            sample_index=sample,
            policy_id=policy_id or policy.policy_id,
            run_id=out.name if out else policy.policy_id,
            checkpoint_step=checkpoint_step,
            env_id=task.env_id,
            index_id=task.searcher.index_id,
            lexical=getattr(task.searcher, "is_lexical", False),
            template_hash=getattr(policy, "template_hash", ""),
            seed=seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )
        for group in groups
        for sample, episode in enumerate(group)
    ]
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        work = out / ".rollouts.jsonl.partial"
        work.unlink(missing_ok=True)
        write_records(work, records)
        os.replace(work, out / "rollouts.jsonl")
    return records
