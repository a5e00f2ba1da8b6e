"""What an objective sees: groups of rollouts of the same question, as rewards, outcomes and reward vectors."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...envs.answers import normalize
from ...envs.episode import Episode
from ...envs.questions import passages_of
from ...envs.reward_vectors import vector_table
from ...envs.rewards import hop_hits

__all__ = ["Groups", "episode_vectors", "groups_of"]


@dataclass(frozen=True)
class Groups:
    """Q questions x G rollouts, of all processes.

    Attributes:
        question_ids: [Q].
        rewards: float64 [Q, G].
        outcomes: key -> [Q][G] hashable outcomes. "answer": the normalised answer, None without one; "evidence": the
            frozenset of relevant passages shown (on World: which kinds of record had each hop's fact); "retrieval":
            the frozenset of all passages shown; "query": the normalised queries in order.
        queries: [Q][G] queries that were searched.
        vectors: float64 [Q, G, m, d], the reward vectors of m candidate answers; see `episode_vectors`.
        vector_names: names of the d dimensions.
        correct: bool [Q, G]; if None, a rollout is correct when its reward is at least 1.
        seed: for objectives that draw at random; depends on run and step.
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
        """Rollouts per question, G."""
        return int(self.rewards.shape[1])

    @cached_property
    def right(self) -> Tensor:
        """Which rollouts are correct, bool [Q, G]."""
        return self.rewards >= 1 if self.correct is None else self.correct

    @cached_property
    def solved(self) -> Tensor:
        """Whether all rollouts of a question are correct, bool [Q]."""
        return self.right.all(dim=1)

    def generator(self, question: int, purpose: int) -> np.random.Generator:
        """Random draws for one group; they depend on step and question, not on the rest of the batch.

        Args:
            question: index of the group.
            purpose: a number of its own for each use, so that no two uses share their draws.
        """
        return np.random.default_rng((self.seed, purpose, zlib.crc32(self.question_ids[question].encode())))


def groups_of(groups: Sequence[Sequence[Episode]], seed: int = 0) -> Groups:
    """Rewards and outcomes of ended episodes, [question][sample]."""
    vectors, names = episode_vectors(groups)
    return Groups(
        question_ids=tuple(group[0].question.id for group in groups),
        rewards=torch.tensor([[episode.reward for episode in group] for group in groups], dtype=torch.float64),
        outcomes={
            "answer": [
                [None if e.prediction is None else normalize(e.prediction, e.spec.scoring) for e in g] for g in groups
            ],
            "evidence": [[e.shown_ids & passages_of(e.question.evidence) for e in g] for g in groups],
            "retrieval": [[e.shown_ids for e in g] for g in groups],
            "query": [[tuple(normalize(query) for query in e.queries) for e in g] for g in groups],
        },
        queries=[[tuple(e.queries) for e in g] for g in groups],
        vectors=vectors,
        vector_names=names,
        correct=torch.tensor([[episode.correct for episode in group] for group in groups]),
        seed=seed,
    )


def episode_vectors(groups: Sequence[Sequence[Episode]]) -> tuple[Tensor, tuple[str, ...]]:
    """Reward vectors of ended episodes, see `envs/reward_vectors.py`.

    One exception to that page: if a single answer is asked for and it cites nothing, a hop counts as found when one of
    its passages was shown. Such an episode supports its answer by its searches.

    Args:
        groups: ended episodes, [question][sample]; all have the same `num_answers` m.

    Returns:
        float64 [Q, G, m, d] and the names of the d dimensions.
    """
    flat = [episode for group in groups for episode in group]
    names, table = vector_table(flat)
    for row, episode in zip(table, flat):
        if episode.spec.num_answers == 1 and episode.candidates and not episode.candidates[0].cited:
            for p, hits in enumerate(hop_hits(episode.question.evidence, episode.shown_ids), 1):
                for h, hit in enumerate(hits, 1):
                    row[0, names.index(f"path{p}/hop{h}")] = float(hit)
    return torch.from_numpy(table).reshape(len(groups), -1, *table.shape[1:]), names
