"""The columns of the screen's tables, and the words that explain each under its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..measures.rows import ArmsReport

__all__ = ["TEXT_BLOCKS", "WORLD_BLOCKS", "blocks", "column_notes", "is_world"]

WORLD_BLOCKS: Mapping[str, tuple[str, ...]] = {
    "Accuracy": ("pass@1", "pass@1_plan", "give_up_loss", "execution_loss", "pass@8", "frontier_distance"),
    "Breadth": (
        "breadth",
        "evidence_recall",
        "distinct_passages",
        "unique_query_ratio",
        "new_kind_after_miss",
        "executed_right",
    ),
    "Entropy (nats)": (
        "query_token_entropy",
        "query_sequence_entropy",
        "semantic_query_entropy",
        "kind_entropy",
        "path_entropy",
        "policy_tokens",
    ),
}
TEXT_BLOCKS: Mapping[str, tuple[str, ...]] = {
    "Accuracy": ("em", "f1", "pass@2", "pass@4", "pass@8", "finished"),
    "Breadth": (
        "breadth",
        "evidence_recall",
        "distinct_passages",
        "unique_query_ratio",
        "searches",
        "valid_actions",
    ),
    "Entropy (nats)": (
        "query_token_entropy",
        "query_sequence_entropy",
        "semantic_query_entropy",
        "path_entropy",
        "policy_tokens",
    ),
}

_NOTES = {
    "pass@1": "pass@k: in k tries",
    "pass@1_plan": "planned: a perfect reader's",
    "give_up_loss": "losses: planned - actual",
    "frontier_distance": "to frontier: in pass@k",
    "em": "EM: right at once",
    "f1": "F1: shared words",
    "pass@2": "pass@k: right in k tries",
    "finished": "finished: gave an answer",
    "breadth": "breadth: evidence that any saw",
    "evidence_recall": "recall: one saw",
    "new_kind_after_miss": "new kind: after a miss",
    "executed_right": "right search: hits the fact",
    "valid_actions": "valid turns: well formed",
    "query_token_entropy": "token, sequence: of queries",
    "semantic_query_entropy": "semantic: of first results",
    "kind_entropy": "kind: tried first",
    "path_entropy": "path: of passages shown",
}
"""A few words on each column; columns without an entry share the words of a neighbour or need none."""


def is_world(report: ArmsReport) -> bool:
    """Whether the rollouts answer World questions."""
    return any("pass@1_plan" in arm["measures"] for arm in report["arms"].values())


def blocks(report: ArmsReport) -> Mapping[str, tuple[str, ...]]:
    """Heading of a table -> keys of its columns."""
    return WORLD_BLOCKS if is_world(report) else TEXT_BLOCKS


def column_notes(keys: Sequence[str]) -> str:
    """Explains the columns of one table in one line; "" if all explain themselves."""
    return "; ".join(_NOTES[key] for key in keys if key in _NOTES)
