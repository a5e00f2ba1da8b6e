"""The columns of the screen's tables, and the words that explain each under its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..measures.rows import ArmsReport, ContradictionRow, EstimateRow

__all__ = ["MORE", "TEXT_BLOCKS", "WORLD_BLOCKS", "blocks", "column_notes", "is_world", "reward_says_more"]

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

MORE = (
    "query_clusters",
    "query_similarity",
    "query_information",
    "turns",
    "degenerate_text",
    "search_errors",
)
"""Measures of a last table, which shows those that say something about the arms at hand, see `blocks`."""

_FAULTS = {"degenerate_text": 0.01, "search_errors": 0.01}
"""Measures of faults, and the value from which on they are worth a column."""

_MOST = 6

_NOTES = {
    "pass@1": "pass@k: in k tries",
    "pass@1_plan": "planned: a perfect reader's",
    "give_up_loss": "losses: planned - actual",
    "frontier_distance": "to frontier: in pass@k",
    "em": "EM: exact match",
    "reward": "rec.: as recorded",
    "sub_em": "contains: holds a right answer",
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
    "query_clusters": "clusters: of near-equal queries",
    "query_similarity": "query sim.: of two rollouts' words",
    "query_information": "information: on the question",
    "degenerate_text": "degenerate: repeats itself",
    "search_errors": "failed: no reply to a search",
}
"""A few words on each column; columns without an entry share the words of a neighbour or need none."""


def is_world(report: ArmsReport) -> bool:
    """Whether the rollouts answer World questions."""
    return any("pass@1_plan" in arm["measures"] for arm in report["arms"].values())


def blocks(report: ArmsReport) -> Mapping[str, tuple[str, ...]]:
    """Heading of a table -> keys of its columns; the last table holds the measures of `MORE` that say something."""
    known = {**(WORLD_BLOCKS if is_world(report) else TEXT_BLOCKS)}
    known["Accuracy"] = tuple(_accuracy(known["Accuracy"], report))
    more = [key for key in MORE if _says_something(key, report)]
    if not _graded(report):
        more.insert(0, _FINISHED)
    return {**known, "Queries, turns": tuple(more[:_MOST])} if more else known


_FINISHED = "finished"


def _graded(report: ArmsReport) -> bool:
    """Whether some arm is graded; where none is, that an episode finished would look like a score."""
    return any("em" in arm["measures"] or "pass@1" in arm["measures"] for arm in report["arms"].values())


def _accuracy(keys: Sequence[str], report: ArmsReport) -> list[str]:
    """The columns of accuracy, with recorded rewards where they say more than exact match does.

    The substring match joins them where both contradict each other, because it judges answers in whole sentences.
    """
    first, *rest = keys
    if any("reward_against_em" in arm for arm in report["arms"].values()):
        rest.insert(0, "sub_em")
    if any(reward_says_more(arm["measures"], arm.get("reward_against_em")) for arm in report["arms"].values()):
        rest.insert(0, "reward")
    return [key for key in (first, *rest) if key != _FINISHED or _graded(report)]


def reward_says_more(measures: Mapping[str, EstimateRow], against: ContradictionRow | None) -> bool:
    """Whether recorded rewards are not just exact match again.

    Args:
        measures: of an arm or of a step.
        against: its contradictions.
    """
    reward, em = measures.get("reward"), measures.get("em")
    if reward is None:
        return False
    return em is None or against is not None or abs(reward["value"] - em["value"]) > 1e-9


def _says_something(key: str, report: ArmsReport) -> bool:
    """Whether a measure of `MORE` is worth a column.

    A fault is if it happens, query information if a model was given for it. Others are if an arm surely differs from
    the one it is compared with. Without another arm, queries are compared by their words if nothing is known of the
    passages.
    """
    rows = [arm["measures"][key] for arm in report["arms"].values() if key in arm["measures"]]
    if not rows or key == "query_information":
        return bool(rows)
    if key in _FAULTS:
        return any(row["value"] >= _FAULTS[key] for row in rows)
    if len(report["arms"]) == 1:
        measures = next(iter(report["arms"].values()))["measures"]
        return key.startswith("query_") and "distinct_passages" not in measures
    differences = [pair["differences"].get(key) for pair in report["differences"].values()]
    return any(row is not None and row["n"] > 1 and (row["low"] > 0 or row["high"] < 0) for row in differences)


def column_notes(keys: Sequence[str]) -> str:
    """Explains the columns of one table in one line; "" if all explain themselves."""
    return "; ".join(_NOTES[key] for key in keys if key in _NOTES)
