"""One row per episode, for a data frame."""

from __future__ import annotations

from collections.abc import Sequence

from ...envs.record import EpisodeRecord

__all__ = ["COLUMNS", "episode_rows"]

COLUMNS = (
    "question_id",
    "question",
    "right_answers",
    "sample",
    "answer",
    "right",
    "em",
    "f1",
    "reward",
    "evidence_recall",
    "searches",
    "turns",
    "invalid_turns",
    "queries",
    "passages",
    "policy_tokens",
    "finished",
    "split",
    "policy",
)
"""Columns of the table, in order."""


def episode_rows(records: Sequence[EpisodeRecord]) -> dict[str, list[object]]:
    """Column -> values, one per episode; None where a record lacks the value."""
    rows = [_row(record) for record in records]
    return {name: [row[at] for row in rows] for at, name in enumerate(COLUMNS)}


def _row(record: EpisodeRecord) -> tuple[object, ...]:
    return (
        record.question.id,
        record.question.text,
        tuple(record.question.answers),
        record.sample_index,
        record.answer_raw,
        None if record.em is None else record.em == 1,
        record.em,
        record.f1,
        record.reward,
        record.evidence_recall,
        len(record.queries),
        len(record.turns),
        sum(turn.action == "invalid" for turn in record.turns),
        tuple(record.queries),
        tuple(hit.id for turn in record.turns for ranking in turn.hits for hit in ranking),
        record.policy_tokens,
        record.terminated,
        record.question.split,
        record.policy_id,
    )
