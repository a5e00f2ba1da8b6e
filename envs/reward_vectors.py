"""The vector reward of a candidate: which hops of which path it cites, and how well it answers (after VPO, 2605.22817).

Candidates of one block share their searches; what tells them apart is what each answers and cites. Dimensions are
path x hop, so that two ways to the answer do not look alike.
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
"""Most distinct passages a candidate may cite to effect, so that citing everything earns nothing; a path of more hops
may cite as many as it has."""


def vector_names(question: Question) -> tuple[str, ...]:
    """Names of the dimensions, d of them: "path1/hop1", ..., then "answer_f1", or "path1/answer_f1", ... where each
    path has an answer of its own."""
    hops = tuple(f"path{p}/hop{h}" for p, path in enumerate(question.evidence, 1) for h in range(1, len(path) + 1))
    several = question.answers_by_path
    return (*hops, *(f"path{p}/answer_f1" for p in range(1, len(several) + 1))) if several else (*hops, "answer_f1")


def candidate_vectors(episode: Episode) -> list[list[float]]:
    """Vectors of an ended episode, [num_answers][d], values in [0, 1].

    A hop counts where the candidate cites, by its number, a shown passage that satisfies it. Rows without a candidate
    are zero. Numbers that no passage has, and citations beyond the limit, count nothing.
    """
    question, shown = episode.question, episode.hits
    several = question.answers_by_path or (question.answers,)
    limit = max(MAX_CITATIONS, *(len(path) for path in question.evidence), 0)
    rows = []
    for candidate in episode.candidates:
        numbers = list(dict.fromkeys(n for n in candidate.cited if 1 <= n <= len(shown)))[:limit]
        cited = frozenset(shown[number - 1].id for number in numbers)
        hops = [float(bool(hop & cited)) for path in question.evidence for hop in path]
        rows.append([*hops, *(f1(candidate.text, answers) for answers in several)])
    empty = [0.0] * len(vector_names(question))
    return rows + [list(empty) for _ in range(episode.spec.num_answers - len(rows))]


def vector_table(episodes: Sequence[Episode]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Vectors of several ended episodes with one set of dimensions.

    A dimension that a question lacks counts 1 for a candidate that is there, as VPO counts missing hops, and 0 for a
    padding row.

    Args:
        episodes: n of them, with one `num_answers`, m.

    Returns:
        Names, d of them in order of appearance, and float64 [n, m, d].
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
