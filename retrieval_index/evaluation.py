"""How much of the evidence a single search brings back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .corpus import CorpusError, read_jsonl
from .searcher import Searcher

__all__ = ["all_support", "evaluate_index", "recall"]


def recall(ranked_ids: Sequence[str], supporting: Sequence[str], k: int) -> float:
    """Share of the supporting passages among the first k."""
    wanted = set(supporting)
    return len(wanted & set(ranked_ids[:k])) / len(wanted)


def all_support(ranked_ids: Sequence[str], supporting: Sequence[str], k: int) -> float:
    """1 if all supporting passages are among the first k."""
    return float(set(supporting) <= set(ranked_ids[:k]))


def evaluate_index(searcher: Searcher, questions: Path, ks: Sequence[int]) -> dict[str, Any]:
    """Searches each question's text once.

    Args:
        searcher: an index.
        questions: JSONL, {"question", "metadata": {"supporting_ids": [...]}}.
        ks: cut-offs.

    Returns:
        {"num_questions", "num_without_support", "recall@k", "all_support@k"}; questions without supporting passages are
        left out and counted.
    """
    asked: list[tuple[str, list[str]]] = []
    left_out = 0
    for number, line in read_jsonl(questions):
        if not isinstance(line.get("question"), str):
            raise CorpusError(f"{questions}:{number}: question must be a text; mend the line")
        supporting = (line.get("metadata") or {}).get("supporting_ids") or []
        if supporting:
            asked.append((line["question"], supporting))
        else:
            left_out += 1
    if not asked:
        raise CorpusError(f"{questions}: no question names supporting_ids; give annotated questions")
    hits = searcher.search([question for question, _ in asked], max(ks))
    rankings = [[hit.id for hit in ranking] for ranking in hits]
    out: dict[str, Any] = {"num_questions": len(asked), "num_without_support": left_out}
    for k in ks:
        out[f"recall@{k}"] = sum(recall(r, s, k) for r, (_, s) in zip(rankings, asked)) / len(asked)
        out[f"all_support@{k}"] = sum(all_support(r, s, k) for r, (_, s) in zip(rankings, asked)) / len(asked)
    return out
