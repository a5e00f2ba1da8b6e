"""Rollouts of the tabular policy: choices of kinds, and the groups that objectives read off them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..envs import world_text
from ..envs.questions import Question
from ..retrieval_index.errors import BerrypickError
from .objectives.groups import Groups
from .objectives.losses import token_log_probs

__all__ = ["TabularEpisodes", "TabularTask", "choice_log_probs", "play", "tabular_groups"]


@dataclass(frozen=True)
class TabularTask:
    """World questions without their text.

    Attributes:
        ids: [n].
        present: bool [n, hops, kinds], which kinds hold each fact.
        budget: queries an episode.
        names: kind words.
        facts: [n][hop] -> (relation, entity), for queries as text.
    """

    ids: tuple[str, ...]
    present: NDArray[np.bool_]
    budget: int
    names: tuple[str, ...]
    facts: tuple[tuple[tuple[str, str], ...], ...]

    @classmethod
    def of(cls, questions: Sequence[Question]) -> TabularTask:
        """Reads the questions of a World; others raise `BerrypickError`."""
        if not questions or any("world" not in question.metadata for question in questions):
            raise BerrypickError("the tabular policy plays World questions; give a split of berrypick/World-v0")
        worlds = [question.metadata["world"] for question in questions]
        first = worlds[0]
        present = np.zeros((len(worlds), first["hops"], len(first["kinds"])), np.bool_)
        for i, world in enumerate(worlds):
            for hop, kinds in enumerate(world["present"]):
                present[i, hop, kinds] = True
        facts = tuple(tuple(zip(world["relations"], world["entities"])) for world in worlds)
        return cls(tuple(question.id for question in questions), present, first["budget"], tuple(first["kinds"]), facts)

    @property
    def num_questions(self) -> int:
        """Questions."""
        return len(self.ids)

    @property
    def hops(self) -> int:
        """Facts of a chain."""
        return int(self.present.shape[1])

    @property
    def kinds(self) -> int:
        """Record kinds."""
        return int(self.present.shape[2])


@dataclass(frozen=True)
class TabularEpisodes:
    """The choices of Q x G episodes, one row each, by episode and then in order; all int64 [N] but `tried`.

    Attributes:
        question: index into the step's questions.
        rollout: index into the group.
        hop: where the choice was made.
        kind: what was chosen.
        tried: bool [N, kinds], what had been tried at the hop.
        rewards: float64 [Q, G], 1 where all hops were found within the budget.
    """

    question: NDArray[np.int64]
    rollout: NDArray[np.int64]
    hop: NDArray[np.int64]
    kind: NDArray[np.int64]
    tried: NDArray[np.bool_]
    rewards: NDArray[np.float64]


def play(
    task: TabularTask, chosen: NDArray[np.int64], logits: NDArray[np.float64], size: int, generator: np.random.Generator
) -> TabularEpisodes:
    """Plays `size` episodes of each chosen question, [Q, hops, kinds] logits."""
    num = len(chosen) * size
    question, rollout = np.repeat(np.arange(len(chosen)), size), np.tile(np.arange(size), len(chosen))
    hop, tried = np.zeros(num, np.int64), np.zeros((num, task.kinds), np.bool_)
    steps: list[tuple[NDArray[Any], ...]] = []
    for _ in range(task.budget):
        live = np.flatnonzero((hop < task.hops) & ~tried.all(1))
        at = logits[question[live], hop[live]]
        # Gumbel-max draws from the softmax over untried kinds.
        noise = generator.gumbel(size=(num, task.kinds))[live]
        kind = np.where(tried[live], -np.inf, at + noise).argmax(1)
        steps.append((live, hop[live].copy(), kind, tried[live].copy()))
        hit = task.present[chosen[question[live]], hop[live], kind]
        tried[live, kind] = True
        hop[live[hit]] += 1
        tried[live[hit]] = False
    rows = np.concatenate([step[0] for step in steps])
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    hops, kinds, seen = (np.concatenate([step[i] for step in steps])[order] for i in (1, 2, 3))
    rewards = (hop == task.hops).astype(np.float64).reshape(len(chosen), size)
    return TabularEpisodes(question[rows], rollout[rows], hops, kinds, seen, rewards)


def choice_log_probs(logits: Tensor, rows: NDArray[np.int64], episodes: TabularEpisodes) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of each choice among untried kinds, [N], with gradient.

    Args:
        logits: [tables, hops, kinds].
        rows: the table of each of the step's questions.
        episodes: the choices.
    """
    at = logits[torch.from_numpy(rows[episodes.question]), torch.from_numpy(episodes.hop)]
    open_kinds = at.masked_fill(torch.from_numpy(episodes.tried), -torch.inf)
    return token_log_probs(open_kinds, torch.from_numpy(episodes.kind), entropy_gradient=True)


def tabular_groups(task: TabularTask, chosen: NDArray[np.int64], episodes: TabularEpisodes, seed: int) -> Groups:
    """Rewards and outcomes as `groups_of` reads them off real episodes."""
    num, size = episodes.rewards.shape
    made: list[list[list[tuple[int, int, bool]]]] = [[[] for _ in range(size)] for _ in range(num)]
    hits = task.present[chosen[episodes.question], episodes.hop, episodes.kind]
    columns = (episodes.question, episodes.rollout, episodes.hop, episodes.kind, hits)
    for q, g, hop, kind, hit in zip(*(column.tolist() for column in columns)):
        made[q][g].append((hop, kind, hit))
    found = [[{hop for hop, _, hit in one if hit} for one in row] for row in made]
    vectors = [
        [[[float(h in f) for h in range(task.hops)] + [float(len(f) == task.hops)]] for f in row] for row in found
    ]
    names = (*(f"path1/hop{hop + 1}" for hop in range(task.hops)), "f1")
    return Groups(
        tuple(task.ids[i] for i in chosen),
        torch.from_numpy(episodes.rewards),
        {
            "answer": [[str(len(f) == task.hops) for f in row] for row in found],
            "evidence": [[frozenset((h, k) for h, k, hit in one if hit) for one in row] for row in made],
            "retrieval": [[frozenset((h, k) for h, k, _ in one) for one in row] for row in made],
            "query": [[tuple((h, k) for h, k, _ in one) for one in row] for row in made],
        },
        [
            [tuple(_query(task, chosen[q], hop, kind) for hop, kind, _ in one) for one in row]
            for q, row in enumerate(made)
        ],
        torch.tensor(vectors, dtype=torch.float64),
        names,
        seed=seed,
    )


def _query(task: TabularTask, question: int, hop: int, kind: int) -> str:
    relation, entity = task.facts[question][hop]
    return world_text.query_text(task.names[kind], relation, entity)
