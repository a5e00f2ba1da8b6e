"""Reward vectors of an episode's candidates: which hops each one's citations support, and its answer F1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...envs.answers import f1
from ...envs.episode import Episode
from ...envs.turn_format import Candidate

__all__ = ["episode_vectors"]

_MAX_CITED = 4


def episode_vectors(groups: Sequence[Sequence[Episode]]) -> tuple[Tensor, tuple[str, ...]]:
    """Reward vectors after VPO (arXiv 2605.22817), with dimensions by path and hop, else all paths look alike.

    A hop counts for a candidate that cites a passage of it (the first four citations count); where an episode asks
    for one answer, without citations, a hop counts if a passage of it was shown. Dimensions a question does not have
    are 1, as published for missing hops; an episode without an answer is all zeros.

    Returns:
        float64 [Q, G, m, d] and the names of the d dimensions; m is the largest `num_answers` asked for.
    """
    shape = [[len(path) for path in group[0].question.evidence] for group in groups]
    num_paths = max((len(paths) for paths in shape), default=0)
    hops = [max((paths[p] for paths in shape if p < len(paths)), default=0) for p in range(num_paths)]
    cells = [(p, h) for p in range(num_paths) for h in range(hops[p])]
    names = (*(f"path{p + 1}/hop{h + 1}" for p, h in cells), "f1")
    m = max((episode.spec.num_answers for group in groups for episode in group), default=1)
    rows = [[_episode(episode, cells, m) for episode in group] for group in groups]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(groups), -1, m, len(names)), names


def _episode(episode: Episode, cells: Sequence[tuple[int, int]], m: int) -> list[list[float]]:
    blank = [0.0] * (len(cells) + 1)
    answer = episode.answer
    if answer is None:
        return [blank] * m
    rows = [_candidate(episode, candidate, cells) for candidate in answer.candidates[:m]]
    return rows + [blank] * (m - len(rows))


def _candidate(episode: Episode, candidate: Candidate, cells: Sequence[tuple[int, int]]) -> list[float]:
    evidence = episode.question.evidence
    if candidate.cited or episode.spec.num_answers > 1:
        hits = episode.hits
        cited = list(dict.fromkeys(n for n in candidate.cited if 1 <= n <= len(hits)))[:_MAX_CITED]
        support = frozenset(hits[n - 1].id for n in cited)
    else:
        support = episode.shown_ids
    row = [
        float(bool(evidence[p][h] & support)) if p < len(evidence) and h < len(evidence[p]) else 1.0 for p, h in cells
    ]
    return [*row, f1(candidate.text, episode.question.answers)]
