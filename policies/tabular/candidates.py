"""Exact values of a tabular policy whose episodes end in several candidate answers, which may repeat.

The World's questions have as many conflicting answers as kinds. After the hops before it, an episode names kinds at the
last hop, and each is a candidate: the answer of that kind's record, or a wrong one where the record lacks it. Two
candidates of one kind are one answer. The budget never binds, so that an episode reaches the last hop if every earlier
one is covered by some kind, whatever the policy does. Values are those in the population; nothing is sampled.

A user's weights of the answers are drawn from Dirichlet(1), as in VPO (arXiv 2605.22817); the best of c different right
answers of d is then worth H_c / d on average, H_c = 1 + 1/2 + ... + 1/c.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from ...envs.world.config import WorldConfig
from ...retrieval_index.errors import BerrypickError
from .values import union_of

__all__ = ["CANDIDATE_COUNTS", "CANDIDATE_MEASURES", "EQUAL_QUERIES", "candidate_bounds", "candidate_values"]

Array = NDArray[np.float64]

CANDIDATE_COUNTS = (1, 3, 6, 12, 30)
"""k of best@k. The candidates of a group are those of whole episodes; at k = 1 the first one of an episode."""

EQUAL_QUERIES = 40
"""Queries at which episodes of one and of several candidates are compared."""

CANDIDATE_MEASURES = (
    *(f"{name}@{k}" for name in ("best", "right", "answers") for k in CANDIDATE_COUNTS),
    f"best@{EQUAL_QUERIES}_queries", "gain_3_6", "gain_6_12", "gain_12_30", "l1@30", "repeated", "searches",
)  # fmt: skip
"""Names of what `candidate_values` returns, see there."""


def candidate_values(config: WorldConfig, probabilities: Array, candidates: int) -> dict[str, float]:
    """Measures in the population.

    Args:
        config: of the World; the numbers of questions and the seed do not matter.
        probabilities: from `kind_probabilities` with repeats, [1, hops, sets, left, kinds].
        candidates: of an episode, m; divides all of `CANDIDATE_COUNTS` but 1.

    Returns:
        best@k, the expected worth of the best of k candidates to a user whose weights are drawn from Dirichlet(1);
        right@k, the probability that one of them is right, which is best@k for a user who weighs all answers alike;
        answers@k, their distinct right answers; best@40_queries, of as many episodes as make 40 queries; gain_a_b,
        best@b - best@a; l1@30, the mean L1 distance of the reward vectors of two of 30 candidates; repeated, the share
        of an episode's candidates that repeat an earlier one; searches, queries of an episode.

    Raises:
        BerrypickError: the World has cues, or another number of answers than kinds, or its budget binds.
    """
    _check(config, candidates)
    worth = _Worth.of(config)
    kinds, chances = _sequences(probabilities[0, -1], candidates)
    counts = (kinds[:, :, None] == np.arange(worth.num_kinds)).sum(1)  # [sequences, kinds]
    named = _named(kinds, chances, worth.num_kinds)
    searches = _searches_before(config, probabilities[0]) + worth.reach * candidates
    out: dict[str, float] = {}
    for k in CANDIDATE_COUNTS:
        union = _named(kinds[:, :1], chances, worth.num_kinds) if k == 1 else union_of(named, k / candidates)
        for name, value in (("best", worth.best), ("right", worth.right), ("answers", worth.answers)):
            out[f"{name}@{k}"] = worth.reach * float(union[0] @ value)
    equal = union_of(named, EQUAL_QUERIES / searches)
    out[f"best@{EQUAL_QUERIES}_queries"] = worth.reach * float(equal[0] @ worth.best)
    for few, many in pairwise(CANDIDATE_COUNTS[1:]):
        out[f"gain_{few}_{many}"] = out[f"best@{many}"] - out[f"best@{few}"]
    most = CANDIDATE_COUNTS[-1]
    out[f"l1@{most}"] = worth.reach * _distance(counts, chances, worth.availability, most)
    out["repeated"] = float(chances @ (candidates - (counts > 0).sum(1))) / candidates
    out["searches"] = searches
    return out


def candidate_bounds(config: WorldConfig) -> dict[str, tuple[float, float]]:
    """Measure -> the least and the most that any policy can have which is blind to the question and always finds one.

    Least: all candidates of the kind that is most often void. Most: as many different kinds as there are candidates,
    the most available ones; for l1@30 the numbers of candidates of each kind that are furthest apart.
    """
    _check(config, 1)
    worth, order = _Worth.of(config), np.argsort(-np.asarray(config.availability), kind="stable")
    worst = 1 << int(order[-1])
    out: dict[str, tuple[float, float]] = {}
    for k in CANDIDATE_COUNTS:
        top = sum(1 << int(kind) for kind in order[:k])
        for name, value in (("best", worth.best), ("right", worth.right), ("answers", worth.answers)):
            out[f"{name}@{k}"] = (worth.reach * float(value[worst]), worth.reach * float(value[top]))
    for few, many in pairwise(CANDIDATE_COUNTS[1:]):  # more candidates are never worth less
        out[f"gain_{few}_{many}"] = (0.0, out[f"best@{many}"][1] - out[f"best@{few}"][0])
    out[f"best@{EQUAL_QUERIES}_queries"] = (out["best@1"][0], worth.reach * float(worth.best[-1]))
    most = CANDIDATE_COUNTS[-1]
    out[f"l1@{most}"] = (0.0, worth.reach * _largest_distance(worth.availability, most))
    return out


@dataclass(frozen=True, slots=True)
class _Worth:
    """What a set of named kinds is worth, over the availability patterns of the last hop.

    Attributes:
        availability: float64 [kinds].
        reach: probability that every earlier hop is covered by some kind.
        best: float64 [2^kinds], expected worth of the best answer.
        right: float64 [2^kinds], probability that one is right.
        answers: float64 [2^kinds], expected number of right ones.
    """

    availability: Array
    reach: float
    best: Array
    right: Array
    answers: Array

    @property
    def num_kinds(self) -> int:
        return len(self.availability)

    @classmethod
    def of(cls, config: WorldConfig) -> _Worth:
        availability = np.asarray(config.availability)
        num_kinds = len(availability)
        harmonic = np.cumsum([0.0, *(1 / i for i in range(1, num_kinds + 1))])
        rows = []
        for named in range(2**num_kinds):
            found = np.ones(1)  # distribution of the number of right answers
            for kind in range(num_kinds):
                if named >> kind & 1:
                    found = np.convolve(found, [1 - availability[kind], availability[kind]])
            rows.append((found @ harmonic[: len(found)] / num_kinds, 1 - found[0], found @ np.arange(len(found))))
        best, right, answers = np.array(rows).T
        reach = float(1 - np.prod(1 - availability)) ** (config.hops - 1)
        return cls(availability, reach, best, right, answers)


def _check(config: WorldConfig, candidates: int) -> None:
    num_kinds = len(config.availability)
    needed = num_kinds * (config.hops - 1) + candidates
    for holds, problem in (
        (config.cue == 0, "a cue"),
        (config.num_answers == num_kinds, f"{config.num_answers} answers and {num_kinds} kinds"),
        (config.budget >= needed, f"a budget of {config.budget}, which may bind below {needed}"),
        (all(k % candidates == 0 for k in CANDIDATE_COUNTS[1:]), f"{candidates} candidates an episode"),
    ):
        if not holds:
            raise BerrypickError(f"no exact values of candidates in a World with {problem}; choose another World")


def _sequences(probabilities: Array, candidates: int) -> tuple[NDArray[np.int64], Array]:
    """All orders of candidates, int64 [sequences, candidates], and their probability.

    Args:
        probabilities: of the last hop, [sets, left, kinds].
        candidates: of an episode.
    """
    num_kinds = probabilities.shape[-1]
    kinds = np.array(list(product(range(num_kinds), repeat=candidates)), np.int64)
    chances, tried = np.ones(len(kinds)), np.zeros(len(kinds), np.int64)
    for place in range(candidates):
        chances = chances * probabilities[tried, candidates - place, kinds[:, place]]
        tried = tried | 1 << kinds[:, place]
    return kinds, chances


def _named(kinds: NDArray[np.int64], chances: Array, num_kinds: int) -> Array:
    """Distribution of the set of kinds that an episode names, [1, 2^kinds]."""
    sets = np.bitwise_or.reduce(1 << kinds, axis=1)
    return np.bincount(sets, weights=chances, minlength=2**num_kinds)[None].astype(np.float64)


def _distance(counts: NDArray[np.int64], chances: Array, availability: Array, most: int) -> float:
    """Mean L1 distance of two of `most` candidates, those of most / m episodes of m candidates each.

    Two candidates of one kind have the same vector; of two kinds, each that is right adds 1. Of n candidates, n_i of
    kind i, the distances of all pairs add up to sum_i a_i n_i (n - n_i).
    """
    size = int(counts[0].sum())
    episodes = most // size
    mean, square = chances @ counts, chances @ counts**2
    within = float(availability @ (size * mean - square))
    between = 2 * float(availability @ (mean * (size - mean)))
    return (episodes * within + episodes * (episodes - 1) / 2 * between) / (most * (most - 1) / 2)


def _largest_distance(availability: Array, most: int) -> float:
    """The largest mean distance of `most` candidates: sum_i a_i n_i (n - n_i) is concave in each n_i, so that giving
    each candidate in turn to the kind that gains most is best."""
    counts = np.zeros(len(availability))
    for _ in range(most):
        counts[int(np.argmax(availability * (most - 2 * counts - 1)))] += 1
    return float(availability @ (counts * (most - counts))) / (most * (most - 1) / 2)


def _searches_before(config: WorldConfig, probabilities: Array) -> float:
    """Expected queries before the last hop."""
    num_kinds, hops = len(config.availability), config.hops
    mass = np.zeros((config.budget + 1, hops + 1, 2**num_kinds))
    mass[config.budget, 0, 0] = 1.0
    searches = 0.0
    for left in range(config.budget, 0, -1):
        for hop, tried in zip(*(at.tolist() for at in np.nonzero(mass[left, : hops - 1, :-1]))):
            here = mass[left, hop, tried]
            searches += here
            for kind, (chance, available) in enumerate(zip(probabilities[hop, tried, left], config.availability)):
                mass[left - 1, hop + 1, 0] += here * chance * available
                mass[left - 1, hop, tried | 1 << kind] += here * chance * (1 - available)
    return float(searches)
