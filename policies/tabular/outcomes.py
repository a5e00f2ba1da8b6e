"""Every episode that a tabular policy can play on its questions, with its exact probability, and what it ends in.

From these follow, without sampling, how many distinct outcomes k episodes have on average, sum over outcomes o of
1 - (1 - p_o)^k, and the entropy of a decision. An outcome is what bonuses count, see `groups_of_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .kinds import Decisions, KindWorld, play

__all__ = ["Episodes", "OutcomeKey", "Outcomes", "list_episodes", "outcomes_of"]

Array = NDArray[np.float64]

OutcomeKey = Literal["answer", "evidence", "retrieval"]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All episodes of each question. An episode that ends early is listed once.

    Attributes:
        chances: float64 [questions, episodes], sums to 1 for each question.
        codes: key -> int64 [questions, episodes]; equal codes of a question are equal outcomes. 0 is no outcome.
        success: bool [questions, episodes].
        entropies: float64 [questions, episodes], entropies of the episode's decisions, added up; nats.
        decisions: int64 [questions, episodes], their number.
    """

    chances: Array
    codes: Mapping[OutcomeKey, NDArray[np.int64]]
    success: NDArray[np.bool_]
    entropies: Array
    decisions: NDArray[np.int64]

    def distinct(self, key: OutcomeKey, k: float) -> Array:
        """Expected number of distinct outcomes of k episodes, float64 [questions]. No outcome counts as one, too."""
        codes = self.codes[key]
        rows = np.broadcast_to(np.arange(len(codes))[:, None], codes.shape)
        _, inverse = np.unique(np.stack([rows.ravel(), codes.ravel()]), axis=1, return_inverse=True)
        place = inverse.reshape(-1)
        mass = np.clip(np.bincount(place, weights=self.chances.ravel()), 0.0, 1.0)
        question = np.zeros(len(mass), np.int64)
        question[place] = rows.ravel()
        added = np.bincount(question, weights=1 - (1 - mass) ** k, minlength=len(codes))
        out: Array = added.astype(np.float64)
        return out

    def possible(self, key: OutcomeKey) -> NDArray[np.int64]:
        """Number of outcomes that an episode of each question can have, int64 [questions]."""
        ordered = np.sort(np.where(self.chances > 0, self.codes[key], -1), axis=1)
        fresh = np.diff(ordered, axis=1, prepend=-1) != 0
        out: NDArray[np.int64] = fresh.sum(1)
        return out

    def solved(self, k: float) -> Array:
        """Probability that one of k episodes succeeds, float64 [questions]."""
        chance = np.clip((self.chances * self.success).sum(1), 0.0, 1.0)
        out: Array = 1 - (1 - chance) ** k
        return out

    def decision_entropy(self, questions: NDArray[np.bool_]) -> float:
        """Mean entropy of a decision over the episodes of some questions, bool [questions]; NaN for none."""
        chances = self.chances[questions]
        made = (chances * self.decisions[questions]).sum()
        return float((chances * self.entropies[questions]).sum() / made) if made else float("nan")


@dataclass(frozen=True, slots=True)
class Episodes:
    """Every order of kinds on every question, which is the same for all policies; row by row.

    Attributes:
        size: (questions, orders).
        wanted: int64 [rows, budget], the order.
        played: its episodes.
        codes: key -> int64 [rows].
    """

    size: tuple[int, int]
    wanted: NDArray[np.int64]
    played: Decisions
    codes: Mapping[OutcomeKey, NDArray[np.int64]]

    def outcomes(self, probabilities: Array) -> Outcomes:
        """With the chances of a policy, from `kind_probabilities`."""
        live, rows = self.played.live, probabilities.reshape(-1, probabilities.shape[-1])[self.played.states]
        chosen = np.take_along_axis(rows, self.wanted[..., None], -1)[..., 0]
        # Many orders share an episode that ends early; only the one padded with kind 0 counts, so each is listed once.
        # A kind that was tried before has probability 0.
        chances = np.where(live, chosen, self.wanted == 0).prod(1)
        logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
        entropies = np.where(live, -(rows * logs).sum(-1), 0.0).sum(1)
        return Outcomes(
            chances.reshape(self.size),
            {key: values.reshape(self.size) for key, values in self.codes.items()},
            self.played.success.reshape(self.size),
            entropies.reshape(self.size),
            live.sum(1).reshape(self.size),
        )


def outcomes_of(world: KindWorld, probabilities: Array) -> Outcomes:
    """Plays every order of kinds on every question.

    Args:
        world: the questions.
        probabilities: from `kind_probabilities`, of `world.table_shape`.
    """
    return list_episodes(world).outcomes(probabilities)


def list_episodes(world: KindWorld) -> Episodes:
    """Plays every order of kinds on every question, whatever a policy prefers."""
    num_kinds = len(world.kinds)
    orders = np.array(list(product(range(num_kinds), repeat=world.budget)), np.int64)
    size = (len(world.table), len(orders))
    questions = np.repeat(np.arange(size[0]), size[1])
    wanted = np.tile(orders, (size[0], 1))
    # `play` draws from cumulative probabilities: of equally likely kinds, tried ones included, (kind + .5) / K is kind
    even = np.full((world.num_tables, *world.table_shape[1:]), 1 / num_kinds)
    played = play(world, even, questions, (wanted + 0.5) / num_kinds)
    shown, relevant = played.outcome_masks(num_kinds)
    codes: dict[OutcomeKey, NDArray[np.int64]] = {
        "answer": played.success.astype(np.int64),
        "evidence": relevant,
        "retrieval": shown,
    }
    return Episodes(size, wanted, played, codes)
