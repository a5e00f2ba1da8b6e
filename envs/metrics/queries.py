"""Queries compared by their words: similarity, clusters of near-equal queries, and whether they follow the question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..answers import normalize

__all__ = [
    "NEAR_EQUAL",
    "mean_similarity",
    "query_clusters",
    "query_words",
    "specificity",
    "word_similarity",
]

NEAR_EQUAL = 0.7
"""Queries with at least this Jaccard similarity of words are near-equal: one word added to three (3/4) is, one of four
words replaced (3/5) is not."""

Words = frozenset[str]


def query_words(query: str) -> Words:
    """The distinct words of a query, normalized as answers are."""
    return frozenset(normalize(query).split())


def word_similarity(first: Sequence[Words], second: Sequence[Words]) -> NDArray[np.float64]:
    """Jaccard similarity |a & b| / |a | b| of all pairs (Broder 1997); two queries without words are equal.

    Returns:
        float64 [first, second], values in [0, 1].
    """
    at = {word: index for index, word in enumerate({word for words in (*first, *second) for word in words})}
    a, b = _incidence(first, at), _incidence(second, at)
    shared = a @ b.T
    union = a.sum(1)[:, None] + b.sum(1)[None, :] - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 1.0)


def _incidence(queries: Sequence[Words], at: dict[str, int]) -> NDArray[np.float64]:
    table = np.zeros((len(queries), len(at)))
    rows = np.repeat(np.arange(len(queries)), [len(words) for words in queries])
    table[rows, [at[word] for words in queries for word in words]] = 1
    return table


def query_clusters(similarity: NDArray[np.float64], threshold: float = NEAR_EQUAL) -> int:
    """Number of clusters of near-equal queries.

    Two queries are linked if their similarity is at least `threshold`; a cluster is a connected component. The number
    does not depend on the order of the queries.

    Args:
        similarity: float64 [n, n], of the queries to themselves.
        threshold: of near-equal queries.
    """
    count = len(similarity)
    parent = list(range(count))

    def root(query: int) -> int:
        while parent[query] != query:
            query = parent[query]
        return query

    pairs = np.argwhere(np.triu(similarity >= threshold - 1e-12, 1))
    for first, second in pairs.tolist():
        if parent[second] == parent[first]:
            continue
        one, other = root(first), root(second)
        if one != other:
            parent[other] = one
            count -= 1
    return count


def mean_similarity(similarity: NDArray[np.float64], owners: Sequence[int]) -> float | None:
    """Mean similarity over all pairs of queries of different rollouts of a group; None if there is no such pair.

    Pairs within a rollout are left out, because every policy's reformulations resemble the query before them.

    Args:
        similarity: float64 [n, n], of the queries to themselves.
        owners: the rollout of each query.
    """
    of = np.asarray(owners)
    other = of[:, None] != of[None, :]
    return float(similarity[other].mean()) if other.any() else None


def specificity(own: Sequence[Words], others: Sequence[Words]) -> float | None:
    """Chance that two queries of one question are more alike than one of them and a query of another question.

    1: queries follow their question. 0.5: they ignore it, as in template collapse (RAGEN-2, arXiv 2604.06268), which
    the entropy of a question's queries does not show. Ties count half (Mann-Whitney). This needs no model. It
    replaces the mutual information of question and query where there is none, and does not estimate it.

    Args:
        own: one query of each rollout of a question, e.g. the first.
        others: the same of another question.

    Returns:
        A share; None with fewer than two own queries or no other.
    """
    if len(own) < 2 or not others:
        return None
    table = word_similarity(own, [*own, *others])
    within = table[:, : len(own)][np.triu_indices(len(own), 1)]
    across = np.sort(table[:, len(own) :], axis=None)
    below = np.searchsorted(across, within - 1e-12)
    not_above = np.searchsorted(across, within + 1e-12, side="right")
    return float((below + not_above).mean()) / 2 / len(across)
