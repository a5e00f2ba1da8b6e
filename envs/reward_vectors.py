"""The vector reward of a candidate: the hops it cites and the F1 of its answer (after VPO, arXiv 2605.22817).

Candidates of one answer block share their searches. They differ in what each answers and cites. Dimensions are
path x hop, so that two paths to the answer get different vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .answers import f1
from .episode import Episode
from .questions import Question

__all__ = ["candidate_vectors", "vector_names", "vector_table"]

MAX_CITATIONS = 4
"""Citations of a candidate that count, so that citing everything is not rewarded. A question whose paths have more hops
counts as many as the longest path has."""


def vector_names(question: Question) -> tuple[str, ...]:
    """Names of the d dimensions: "path1/hop1", ..., then "answer_f1".

    If each path has its own answer, "path1/answer_f1", ... replace the last name.
    """
    hops = tuple(f"path{p}/hop{h}" for p, path in enumerate(question.evidence, 1) for h in range(1, len(path) + 1))
    several = question.answers_by_path
    return (*hops, *(f"path{p}/answer_f1" for p in range(1, len(several) + 1))) if several else (*hops, "answer_f1")


def candidate_vectors(episode: Episode) -> list[list[float]]:
    """Vectors of an ended episode, [num_answers][d], values in [0, 1].

    A hop is 1 if the candidate cites, by number, a shown passage that satisfies the hop. Rows without a candidate are
    zero. Numbers without a passage and citations beyond the limit are ignored.
    """
    question, shown = episode.question, episode.hits
    several = question.answers_by_path or (question.answers,)
    limit = max([MAX_CITATIONS, *(len(path) for path in question.evidence)])
    rows = []
    for candidate in episode.candidates:
        numbers = list(dict.fromkeys(n for n in candidate.cited if 1 <= n <= len(shown)))[:limit]
        cited = frozenset(shown[number - 1].id for number in numbers)
        hops = [float(bool(hop & cited)) for path in question.evidence for hop in path]
        rows.append([*hops, *(f1(candidate.text, answers, episode.spec.scoring) for answers in several)])
    empty = [0.0] * len(vector_names(question))
    return rows + [list(empty) for _ in range(episode.spec.num_answers - len(rows))]


def vector_table(episodes: Sequence[Episode]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Vectors of several ended episodes over one common set of dimensions.

    A dimension that a question does not have is 1 for a candidate, as VPO counts missing hops, and 0 for a padding row.

    Args:
        episodes: n episodes with the same `num_answers`, m.

    Returns:
        The d names in order of appearance, and float64 [n, m, d].
    """
    names = tuple(dict.fromkeys(name for episode in episodes for name in vector_names(episode.question)))
    at = {name: index for index, name in enumerate(names)}
    depth = max((episode.spec.num_answers for episode in episodes), default=0)
    table = np.zeros((len(episodes), depth, len(names)))
    for n, episode in enumerate(episodes):
        own = [at[name] for name in vector_names(episode.question)]
        rows = candidate_vectors(episode)
        table[n, : len(episode.candidates)] = 1.0
        table[np.ix_([n], range(len(rows)), own)] = rows
    return names, table
