"""Evidence recall of an index: how much of the evidence a single search finds."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from .corpus import CorpusError, id_of, read_jsonl
from .searcher import Searcher

__all__ = ["all_support", "evaluate_index", "read_support", "recall"]


def recall(ranked_ids: Sequence[str], supporting: Sequence[str], k: int) -> float:
    """Share of the supporting passages (at least one) that are among the first k hits."""
    wanted = set(supporting)
    return len(wanted & set(ranked_ids[:k])) / len(wanted)


def all_support(ranked_ids: Sequence[str], supporting: Sequence[str], k: int) -> float:
    """1.0 if all supporting passages are among the first k hits, else 0.0."""
    return float(set(supporting) <= set(ranked_ids[:k]))


def read_support(path: Path, known_ids: Container[str] | None = None) -> tuple[list[tuple[str, list[str]]], int]:
    """Reads questions with the ids of their supporting passages, and counts the questions that have none.

    Args:
        path: JSONL, {"question", "metadata": {"supporting_ids": [...]}}.
        known_ids: ids of the indexed passages. An unknown supporting passage raises, as no search could find it.

    Raises:
        CorpusError: with file and line.
    """
    annotated: list[tuple[str, list[str]]] = []
    num_without = 0
    for number, line in read_jsonl(path, cure="fix the line"):
        where = f"{path}:{number}"
        if not isinstance(line.get("question"), str):
            raise CorpusError(f"{where}: question must be a string; fix the line")
        metadata = line.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise CorpusError(f"{where}: metadata must be an object; fix the line")
        supporting = metadata.get("supporting_ids") or []
        if isinstance(supporting, list):
            supporting = [id_of({"id": key}) for key in supporting]
        if not isinstance(supporting, list) or not all(isinstance(key, str) for key in supporting):
            raise CorpusError(f"{where}: supporting_ids must be a list of strings; fix the line")
        for key in supporting:
            if known_ids is not None and key not in known_ids:
                raise CorpusError(f"{where}: passage {key!r} is not in the index; use the index of these questions")
        if supporting:
            annotated.append((line["question"], supporting))
        else:
            num_without += 1
    if not annotated:
        raise CorpusError(f"{path}: no question has supporting_ids; use annotated questions")
    return annotated, num_without


def evaluate_index(
    searcher: Searcher, questions: Path, ks: Sequence[int], known_ids: Container[str] | None = None
) -> dict[str, Any]:
    """Searches the text of each question once and measures recall.

    Args:
        searcher: the index to evaluate.
        questions: see `read_support`.
        ks: ranks at which recall is cut off.
        known_ids: see `read_support`.

    Returns:
        {"num_questions", "num_without_support", "recall@k", "all_support@k"}; questions without supporting passages are
        only counted.
    """
    annotated, num_without = read_support(questions, known_ids)
    hits = searcher.search([question for question, _ in annotated], max(ks))
    rankings = [[hit.id for hit in ranking] for ranking in hits]
    out: dict[str, Any] = {"num_questions": len(annotated), "num_without_support": num_without}
    for k in ks:
        out[f"recall@{k}"] = sum(recall(r, s, k) for r, (_, s) in zip(rankings, annotated)) / len(annotated)
        out[f"all_support@{k}"] = sum(all_support(r, s, k) for r, (_, s) in zip(rankings, annotated)) / len(annotated)
    return out
