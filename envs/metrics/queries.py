"""Queries compared by their words: similarity, clusters of near-equal queries, and whether they follow the question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    for row, words in enumerate(queries):
        table[row, [at[word] for word in words]] = 1
    return table


def query_clusters(queries: Iterable[Words], threshold: float = NEAR_EQUAL) -> int:
    """Number of clusters of near-equal queries.

    Two queries are linked if their similarity is at least `threshold`; a cluster is a connected component. The number
    does not depend on the order of the queries.
    """
    distinct = list(dict.fromkeys(queries))
    if len(distinct) < 2:
        return len(distinct)
    linked = word_similarity(distinct, distinct) >= threshold - 1e-12
    unseen, clusters = np.ones(len(distinct), np.bool_), 0
    while unseen.any():
        clusters += 1
        reached = np.zeros(len(distinct), np.bool_)
        front = np.zeros(len(distinct), np.bool_)
        front[int(unseen.argmax())] = True
        while front.any():
            reached |= front
            front = linked[front].any(0) & ~reached
        unseen &= ~reached
    return clusters


def mean_similarity(rollouts: Sequence[Sequence[Words]]) -> float | None:
    """Mean similarity over all pairs of queries of different rollouts of a group; None if there is no such pair.

    Pairs within a rollout are left out: a reformulation is like its predecessor in every policy.
    """
    queries = [words for rollout in rollouts for words in rollout]
    owner = np.repeat(np.arange(len(rollouts)), [len(rollout) for rollout in rollouts])
    other = owner[:, None] != owner[None, :]
    if not other.any():
        return None
    return float(word_similarity(queries, queries)[other].mean())


def specificity(own: Sequence[Words], others: Sequence[Words]) -> float | None:
    """Chance that two queries of one question are more alike than one of them and a query of another question.

    1: queries follow their question. 0.5: they ignore it, as in template collapse (RAGEN-2, arXiv 2604.06268), which
    the entropy of a question's queries does not show. Ties count half (Mann-Whitney). It needs no model and stands in
    for the mutual information of question and query, of which it is no estimate.

    Args:
        own: one query of each rollout of a question, e.g. the first.
        others: the same of another question.

    Returns:
        A share; None with fewer than two own queries or no other.
    """
    if len(own) < 2 or not others:
        return None
    within = word_similarity(own, own)[np.triu_indices(len(own), 1)]
    across = word_similarity(own, others).ravel()
    difference = within[:, None] - across[None, :]
    return float((difference > 1e-12).mean() + (np.abs(difference) <= 1e-12).mean() / 2)
