"""The searcher interface: a batch of queries in, ordered hits out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["Hit", "Searcher", "clean_query", "ranked"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One retrieved passage. Its rank is its position in the list of hits."""

    id: str
    title: str
    text: str
    score: float


@runtime_checkable
class Searcher(Protocol):
    """The contract of every back end; `test_searcher_contract.py` tests all of them."""

    @property
    def index_id(self) -> str:
        """SHA-256 of what determines the hits; recorded with every rollout."""
        ...

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The top k passages of each query, ordered by (-score, id) over the complete tie set.

        Blank queries, queries without a matching term, and k < 1 have no hits; any text is a legal query. Thread-safe.
        """
        ...

    def close(self) -> None:
        """Releases files and threads. Calling it again does nothing."""
        ...


def ranked(scored: Iterable[tuple[float, str]], k: int) -> list[tuple[float, str]]:
    """The k best of (score, passage id) pairs; ties are ordered by id."""
    return sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:k]


def clean_query(query: str) -> str:
    """A query that native libraries accept: lone surrogates become question marks, runs of white space one space."""
    return " ".join(query.encode(errors="replace").decode().split())
