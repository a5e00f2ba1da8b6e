"""Which measures a file cannot give: the parts of an episode, and the measures that need each part."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..record import EpisodeRecord

__all__ = ["PARTS", "absent_measures", "parts_of"]

PARTS: Mapping[str, tuple[str, ...]] = {
    "right answers": ("em", "f1", "sub_em", "pass@1", "effective_diversity", "effective_diversity_pairwise",
                      "diversity_given_quality"),
    "evidence": ("evidence_recall", "all_hops", "breadth", "path_coverage", "effective_diversity",
                 "effective_diversity_pairwise", "diversity_given_quality"),
    "queries": ("searches", "unique_query_ratio", "unique_query_ratio_episode", "query_clusters", "query_similarity",
                "query_specificity", "wordings_per_path"),
    "passages": ("redundancy", "distinct_passages", "distinct_passages_rarefied", "semantic_query_entropy",
                 "path_entropy", "retrieval_clusters", "wordings_per_path"),
    "turns": ("turns", "valid_actions"),
    "token probabilities": ("query_token_entropy", "query_entropy", "query_sequence_entropy",
                            "query_token_entropy_first_turn", "query_sequence_entropy_first_turn"),
    "token counts": ("policy_tokens",),
}  # fmt: skip
"""Part of an episode -> keys of the measures that cannot be computed without it."""


def parts_of(record: EpisodeRecord) -> set[str]:
    """The parts that a record holds."""
    found = {part for part in ("queries", "passages", "turns") if record.knows(part)}
    if record.question.answers:
        found.add("right answers")
    if record.question.evidence:
        found.add("evidence")
    if record.policy_tokens is not None:
        found.add("token counts")
    if any(turn.tokens is not None for turn in record.turns):
        found.add("token probabilities")
    return found


def absent_measures(parts: Collection[str], lacks: Mapping[str, str]) -> dict[str, str]:
    """Key of a measure -> why it is absent.

    Args:
        parts: the parts that some record of the file holds.
        lacks: part -> why the format does not hold it, where there is more to say than that.
    """
    absent: dict[str, str] = {}
    for part, keys in PARTS.items():
        if part not in parts:
            absent.update({key: lacks.get(part, f"the file holds no {part}") for key in keys if key not in absent})
    return absent
