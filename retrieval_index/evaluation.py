"""How much of the evidence a single search brings back."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from .corpus import CorpusError, read_jsonl
from .searcher import Searcher

__all__ = ["all_support", "evaluate_index", "read_support", "recall"]


def recall(ranked_ids: Sequence[str], supporting: Sequence[str], k: int) -> float:
    """Share of the supporting passages, at least one, among the first k."""
    wanted = set(supporting)
    return len(wanted & set(ranked_ids[:k])) / len(wanted)


def all_support(ranked_ids: Sequence[str], supporting: Sequence[str], k: int) -> float:
    """1 if all supporting passages are among the first k."""
    return float(set(supporting) <= set(ranked_ids[:k]))


def read_support(path: Path, known_ids: Container[str] | None = None) -> tuple[list[tuple[str, list[str]]], int]:
    """Questions with the ids of their supporting passages, and how many questions have none.

    Args:
        path: JSONL, {"question", "metadata": {"supporting_ids": [...]}}.
        known_ids: of the corpus; a supporting passage that is not there would count as never found, and is refused.

    Raises:
        CorpusError: with file and line.
    """
    asked: list[tuple[str, list[str]]] = []
    left_out = 0
    for number, line in read_jsonl(path, cure="mend the line"):
        where = f"{path}:{number}"
        if not isinstance(line.get("question"), str):
            raise CorpusError(f"{where}: question must be a text; mend the line")
        metadata = line.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise CorpusError(f"{where}: metadata must be an object; mend the line")
        supporting = metadata.get("supporting_ids") or []
        if not isinstance(supporting, list) or not all(isinstance(key, str) for key in supporting):
            raise CorpusError(f"{where}: supporting_ids must be a list of texts; mend the line")
        for key in supporting:
            if known_ids is not None and key not in known_ids:
                raise CorpusError(f"{where}: passage {key!r} is not in the index; give the index of these questions")
        if supporting:
            asked.append((line["question"], supporting))
        else:
            left_out += 1
    if not asked:
        raise CorpusError(f"{path}: no question names supporting_ids; give annotated questions")
    return asked, left_out


def evaluate_index(
    searcher: Searcher, questions: Path, ks: Sequence[int], known_ids: Container[str] | None = None
) -> dict[str, Any]:
    """Searches each question's text once.

    Args:
        searcher: an index.
        questions: see `read_support`.
        ks: cut-offs.
        known_ids: see `read_support`.

    Returns:
        {"num_questions", "num_without_support", "recall@k", "all_support@k"}; questions without supporting passages are
        left out and counted.
    """
    asked, left_out = read_support(questions, known_ids)
    hits = searcher.search([question for question, _ in asked], max(ks))
    rankings = [[hit.id for hit in ranking] for ranking in hits]
    out: dict[str, Any] = {"num_questions": len(asked), "num_without_support": left_out}
    for k in ks:
        out[f"recall@{k}"] = sum(recall(r, s, k) for r, (_, s) in zip(rankings, asked)) / len(asked)
        out[f"all_support@{k}"] = sum(all_support(r, s, k) for r, (_, s) in zip(rankings, asked)) / len(asked)
    return out
