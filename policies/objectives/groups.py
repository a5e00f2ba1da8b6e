"""What an objective sees: groups of rollouts of the same question."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ...envs.answers import normalize
from ...envs.episode import Episode
from .vectors import episode_vectors

__all__ = ["Groups", "groups_of"]


@dataclass(frozen=True)
class Groups:
    """Q questions x G rollouts, after gathering all processes.

    Attributes:
        question_ids: [Q].
        rewards: float64 [Q, G].
        outcomes: key -> [Q][G] hashable outcomes. "answer": the normalised answer, None without one; "evidence": the
            frozenset of relevant passages hit (on World, which kinds held each hop: the kind signature); "retrieval":
            the frozenset of all passages shown; "query": the normalised queries in order.
        queries: [Q][G] queries that were searched.
        vectors: float64 [Q, G, m, d], the reward vectors of m candidates; see `objectives/vectors.py`.
        vector_names: names of the d dimensions.
        correct: bool [Q, G]; by default, a reward of at least 1.
        seed: for objectives that draw; a function of run and step.
    """

    question_ids: tuple[str, ...]
    rewards: Tensor
    outcomes: Mapping[str, Sequence[Sequence[Hashable]]] = field(default_factory=dict)
    queries: Sequence[Sequence[tuple[str, ...]]] = ()
    vectors: Tensor | None = None
    vector_names: tuple[str, ...] = ()
    correct: Tensor | None = None
    seed: int = 0

    @property
    def size(self) -> int:
        """Rollouts a question."""
        return int(self.rewards.shape[1])

    @cached_property
    def solved(self) -> Tensor:
        """Whether all rollouts of a question are correct, bool [Q]."""
        correct = self.rewards >= 1 if self.correct is None else self.correct
        return correct.all(dim=1)


def groups_of(groups: Sequence[Sequence[Episode]], seed: int = 0) -> Groups:
    """Reads rewards and outcomes off ended episodes, [question][sample]."""
    vectors, names = episode_vectors(groups)
    return Groups(
        question_ids=tuple(group[0].question.id for group in groups),
        rewards=torch.tensor([[episode.reward for episode in group] for group in groups], dtype=torch.float64),
        outcomes={
            "answer": [[None if e.prediction is None else normalize(e.prediction) for e in g] for g in groups],
            "evidence": [[e.shown_ids & _relevant(e) for e in g] for g in groups],
            "retrieval": [[e.shown_ids for e in g] for g in groups],
            "query": [[tuple(normalize(query) for query in e.queries) for e in g] for g in groups],
        },
        queries=[[tuple(e.queries) for e in g] for g in groups],
        vectors=vectors,
        vector_names=names,
        correct=torch.tensor([[episode.correct for episode in group] for group in groups]),
        seed=seed,
    )


def _relevant(episode: Episode) -> frozenset[str]:
    return frozenset(passage for path in episode.question.evidence for hop in path for passage in hop)
