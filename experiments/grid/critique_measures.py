"""What the critique loop is measured by: the episodes it accepted, and its policy, exactly, in the population.

What is hard is fixed once: the quarter of the solvable questions that the start solves least often in one attempt.
Solvable is a question if some record states the fact of every hop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from ...envs.world.config import WorldConfig
from ...policies.tabular.retries import Actor, Misreading
from ...policies.tabular.retry_rounds import Round
from ...policies.tabular.retry_values import AttemptValues, attempt_values, hardest, retried, vote_success
from ...policies.tabular.row_table import RowTable

__all__ = ["CRITIQUE_MEASURES", "HARD", "Evaluation", "accepted_values", "shares_of_accepted"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

K = 8
HARD = 0.25
"""Share of the solvable questions that are hard."""

_POLICY = (
    "pass@1", "pass@8", "pass@1_hard", "pass@8_hard", "paths@8", "first_kind_entropy", "aversion", "searches",
    "tested", "tested_hard", "tested_again", "pass@2", "pass@3", "vote@3", "vote@3_hard", "test_gain", "test_gain_hard",
    "test_focus", "test_naming", "test_over_three", "test_over_vote",
)  # fmt: skip
_DATA = (
    "hard_share", "hard_share_change", "coverage", "coverage_hard", "accepted", "signatures", "signature_entropy",
    "repaired", "generations", "cost",
)  # fmt: skip
CRITIQUE_MEASURES = (*_POLICY, *_DATA)
"""Of the policy: paths@8, different ways to the right answer in 8 attempts. tested: solved by an attempt or, where that
was wrong, a retry after a comment on void kinds; tested_again: the same after a comment that names nothing; vote@3: by
the most frequent answer of 3. test_gain: tested - pass@2, as many attempts; test_focus: how much larger it is on hard
questions; test_naming: tested - tested_again; test_over_three: tested - pass@3; test_over_vote: tested - vote@3.

Of the episodes that a round accepted: hard_share, the share that hard questions have; coverage, the share of solvable
training questions with one; accepted and cost (searches and comments) and generations, per training question;
signatures, different ways per solved question; signature_entropy, of all accepted ways, nats; repaired, the share of
right ones among retries."""


def accepted_values(played: Round, hard: Array, solvable: Flags, num_kinds: int) -> dict[str, float]:
    """Those of `CRITIQUE_MEASURES` that are of accepted episodes, but for the change.

    Args:
        played: the round.
        hard: float64 [questions], how far each training question is hard.
        solvable: bool [questions].
        num_kinds: of the World.
    """
    parts = list(zip(played.accepted, played.questions))
    whose = np.concatenate([asked[which] for (_, which), asked in parts])
    ways = np.concatenate([one.signatures(num_kinds)[which] for (one, which), _ in parts])
    different = len(np.unique(np.stack([whose, ways]), axis=1).T)
    share = np.bincount(ways) / max(1, len(ways))
    share = share[share > 0]
    return {
        **shares_of_accepted(np.bincount(whose, minlength=len(hard)), different, hard, solvable),
        "signature_entropy": float(-(share * np.log(share)).sum()),
        "repaired": played.repaired / max(1, played.retried),
        "generations": played.generations / len(hard),
        "cost": played.cost / len(hard),
    }


def shares_of_accepted(counts: Ints, different: int, hard: Array, solvable: Flags) -> dict[str, float]:
    """What accepted episodes say of their questions.

    Args:
        counts: int64 [questions], accepted episodes of each.
        different: pairs of a question and a way in which an accepted episode solved it.
        hard: float64 [questions], how far each is hard.
        solvable: bool [questions].
    """
    solved = counts > 0
    return {
        "hard_share": float(counts @ hard / max(1, counts.sum())),
        "coverage": float(solved[solvable].mean()) if solvable.any() else 0.0,
        "coverage_hard": float(solved @ hard / hard.sum()) if hard.any() else 0.0,
        "accepted": float(counts.mean()),
        "signatures": different / max(1, int(solved.sum())),
    }


@dataclass(frozen=True)
class Evaluation:
    """Values of policies in the population of a World.

    Attributes:
        rows: all questions that the World can generate.
        reader: how passages are misread.
        budget: of an attempt.
        solvable: bool [rows].
        hard: float64 [rows], how far each belongs to the hardest quarter.
    """

    rows: RowTable
    reader: Misreading
    budget: int
    solvable: Flags
    hard: Array

    @classmethod
    def of(cls, rows: RowTable, config: WorldConfig, start: Actor) -> Evaluation:
        """What is hard is hard for `start`."""
        reader = Misreading.of(config)
        solvable = np.asarray((rows.present.sum(2) > 0).all(1))
        success = attempt_values(rows.present, reader, start, config.budget).success
        return cls(rows, reader, config.budget, solvable, hardest(success, solvable, rows.weights, HARD))

    def rows_of(self, present: Flags) -> Ints:
        """The row of each question of bool [questions, hops, kinds], int64 [questions]."""
        codes = 1 << np.arange(int(np.prod(present.shape[1:])))
        place = np.empty(len(self.rows.present), np.int64)
        place[self.rows.present.reshape(len(place), -1) @ codes] = np.arange(len(place))
        return np.asarray(place[present.reshape(len(present), -1) @ codes])

    def values(self, actor: Actor) -> dict[str, float]:
        """Those of `CRITIQUE_MEASURES` that are of a policy."""
        found = attempt_values(self.rows.present, self.reader, actor, self.budget)
        told, again = (
            retried(self.rows.present, self.reader, actor, self.budget, found, tells=tells) for tells in (True, False)
        )
        solved = {k: 1 - (1 - found.success) ** k for k in (1, 2, 3, K)}
        votes = vote_success(found.success, found.wrong, 3)
        chances = actor.chances(np.zeros(1, np.int64), np.zeros(1, np.int64), self.budget, np.zeros(1, np.int64))[0]
        gain = {"test_gain": self._mean(told - solved[2]), "test_gain_hard": self._hard(told - solved[2])}
        return {
            **{f"pass@{k}": self._mean(value) for k, value in solved.items()},
            **{f"pass@{k}_hard": self._hard(solved[k]) for k in (1, K)},
            "paths@8": self._mean(_paths(found)),
            "first_kind_entropy": float(-(chances * np.log(np.maximum(chances, 1e-300))).sum()),
            "aversion": actor.aversion,
            "searches": self._mean(found.searches),
            "tested": self._mean(told),
            "tested_hard": self._hard(told),
            "tested_again": self._mean(again),
            "vote@3": self._mean(votes),
            "vote@3_hard": self._hard(votes),
            **gain,
            "test_focus": gain["test_gain_hard"] - gain["test_gain"],
            "test_naming": self._mean(told - again),
            "test_over_three": self._mean(told - solved[3]),
            "test_over_vote": self._mean(told - votes),
        }

    def bounds(self, present: Flags, samples: int) -> Mapping[str, tuple[float, float]]:
        """Least and most that are possible: of a policy which knows all records but may misread, and of data in which
        every solvable question has as many episodes; one retry a question brings no more.

        Args:
            present: bool [questions, hops, kinds], of the training questions.
            samples: first attempts at each.
        """
        rows = self.rows_of(present)
        right = (1 - self.reader.slip) ** present.shape[1]
        solvable = float(self.rows.weights[self.solvable].sum())
        even = float(self.hard[rows].sum() / max(1, self.solvable[rows].sum()))
        kinds = present.shape[2]
        return {
            "pass@1": (0.0, solvable * right),
            "pass@8": (0.0, solvable * (1 - (1 - right) ** K)),
            "pass@1_hard": (0.0, right),
            "pass@8_hard": (0.0, 1 - (1 - right) ** K),
            "hard_share": (0.0, even),
            "coverage": (0.0, 1.0),
            "coverage_hard": (0.0, 1.0),
            "signatures": (1.0, float(min(samples, kinds ** present.shape[1]))),
            "signature_entropy": (0.0, present.shape[1] * log(kinds)),
            "hard_share_change": (-even, even),
            **dict.fromkeys(("test_gain", "test_naming", "test_over_three", "test_over_vote"), (-solvable, solvable)),
            "test_gain_hard": (-1.0, 1.0),
            "test_focus": (-1.0 - solvable, 1.0 + solvable),
        }

    def _mean(self, values: Array) -> float:
        return float(self.rows.weights @ values)

    def _hard(self, values: Array) -> float:
        weights = self.rows.weights * self.hard
        return float(weights @ values / weights.sum())


def _paths(found: AttemptValues) -> Array:
    """Expected number of different ways in which 8 attempts succeed, float64 [questions]."""
    total: Array = np.zeros_like(found.success)
    for mass in found.ways.values():
        total = total + 1 - (1 - mass) ** K
    return total
