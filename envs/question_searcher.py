"""Searchers that see the question behind each query, and the oracle searcher over annotated evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..retrieval_index.corpus import Passage
from ..retrieval_index.searcher import Hit
from .questions import Question

__all__ = ["EvidenceSearcher", "QuestionSearcher"]


@runtime_checkable
class QuestionSearcher(Protocol):
    """A searcher that sees the question behind each query. Episodes call `search_for` if a searcher has it."""

    def search_for(
        self, questions: Sequence[Question], numbers: Sequence[int], queries: Sequence[str], k: int
    ) -> list[list[Hit]]:
        """The hits of each query.

        Args:
            questions: for each query, the question of its episode.
            numbers: for each query, the number of queries its episode has made before.
            queries: the texts of the queries.
            k: maximum number of hits of a query.
        """
        ...


class EvidenceSearcher:
    """The n-th query of an episode returns evidence of its question's n-th hop; later queries return all evidence."""

    index_id = "oracle"

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._by_id = {passage.id: passage for passage in passages}

    def search_for(
        self, questions: Sequence[Question], numbers: Sequence[int], queries: Sequence[str], k: int
    ) -> list[list[Hit]]:
        """Evidence of the question, ordered by id; no hits for a blank query."""
        return [
            self._one(question, number, k) if query.strip() and k > 0 else []
            for question, number, query in zip(questions, numbers, queries, strict=True)
        ]

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """No hits, because without a question there is no evidence."""
        return [[] for _ in queries]

    def close(self) -> None:
        """Nothing to release."""

    def _one(self, question: Question, number: int, k: int) -> list[Hit]:
        hops = [hop for path in question.evidence for hop in path[number : number + 1]]
        hops = hops or [hop for path in question.evidence for hop in path]
        found = [self._by_id[key] for key in sorted({key for hop in hops for key in hop})[:k]]
        return [Hit(passage.id, passage.title, passage.text, 1.0) for passage in found]
