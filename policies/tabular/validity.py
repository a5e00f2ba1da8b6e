"""How varied are k episodes, with and without regard to their validity? Exact, from all episodes a policy can play.

An episode is valid if it succeeds. Two valid episodes mean the same if they found the same evidence, or, where answers
conflict, the same answer. The four quantities of effective diversity (arXiv 2504.12522) are those of `valid_values`.
Measures that do not look at validity are those of `blind_values`: distinct queries and distinct sequences of queries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .outcomes import Outcomes

__all__ = ["Meaning", "blind_values", "distinct_over_all", "least_and_most", "meaning_chances", "valid_values"]

Array = NDArray[np.float64]

Meaning = Literal["path", "answer"]
"""What two valid episodes must share to mean the same: the evidence found, or the kind of record found last."""


def meaning_chances(outcomes: Outcomes, meaning: Meaning, last_hop: int) -> Array:
    """Chances that an episode is valid and means each thing, float64 [questions, meanings].

    Args:
        outcomes: all episodes of each question.
        meaning: what tells valid episodes apart.
        last_hop: bits of the evidence code below those of the last hop: (hops - 1) times the number of kinds.
    """
    evidence = outcomes.codes["evidence"]
    codes = np.where(outcomes.success, evidence >> last_hop if meaning == "answer" else evidence, 0)
    found, place = np.unique(codes, return_inverse=True)
    place = place.reshape(codes.shape)
    chances = np.zeros((len(codes), len(found)))
    np.add.at(chances, (np.arange(len(codes))[:, None], place), outcomes.chances * outcomes.success)
    return chances[:, found > 0]


def valid_values(chances: Array, weights: Array, k: int) -> dict[str, float]:
    """The four quantities of k episodes, and one that does not depend on k.

    Args:
        chances: from `meaning_chances`.
        weights: float64 [questions], share of each question.
        k: episodes of a group.

    Returns:
        valid: share of valid episodes. among: distinct meanings over valid episodes, over groups that have a valid one
        (a group without one has no such ratio; NaN if no group has one). effective: distinct meanings over all k
        episodes. pairwise: chance that two episodes are both valid and differ in meaning. spread: chance that two valid
        episodes differ, which on a question does not, as `among` does, fall by arithmetic when more are valid; over
        questions it weighs each by its valid pairs; NaN without any.
    """
    valid = np.clip(chances.sum(1), 0.0, 1.0)
    share = np.divide(chances, valid[:, None], out=np.zeros_like(chances), where=valid[:, None] > 0)
    ratio, any_valid = 0.0, 0.0
    for count in range(1, k + 1):
        chance = weights * math.comb(k, count) * valid**count * (1 - valid) ** (k - count)
        ratio += float(chance @ (1 - (1 - share) ** count).sum(1)) / count
        any_valid += float(chance.sum())
    both = float(weights @ valid**2)
    pairwise = float(weights @ (valid**2 - (chances**2).sum(1)))
    return {
        "valid": float(weights @ valid),
        "among": ratio / any_valid if any_valid else math.nan,
        "effective": distinct_over_all(chances, weights, k),
        "pairwise": pairwise,
        "spread": pairwise / both if both else math.nan,
    }


def distinct_over_all(chances: Array, weights: Array, k: int) -> float:
    """Distinct meanings of valid episodes over all k episodes; see `valid_values`."""
    return float(weights @ (1 - (1 - chances) ** k).sum(1)) / k


def blind_values(outcomes: Outcomes, weights: Array, vocabulary: int, k: int) -> dict[str, float]:
    """Variety of k episodes whether valid or not.

    Args:
        outcomes: all episodes of each question.
        weights: float64 [questions], share of each question.
        vocabulary: number V of different queries that a question allows, hops times kinds.
        k: episodes of a group.

    Returns:
        lexical: expectation-adjusted distinct queries, N / (V (1 - ((V - 1) / V)^C)) for N distinct of C queries of the
        group, its exact mean over groups. sequences: distinct sequences of queries over all k episodes.
    """
    distinct = (1 - (1 - outcomes.chances) ** k).sum(1) / k  # an episode is listed once, as a sequence of its own
    return {
        "lexical": float(weights @ _lexical(outcomes, vocabulary, k)),
        "sequences": float(weights @ distinct),
    }


def least_and_most(
    outcomes: Outcomes, weights: Array, meaning: Array, vocabulary: int, k: int, budgets: Sequence[int] = ()
) -> dict[str, Array]:
    """Measure -> [least, most] that any policy could have which knew each question; a policy that does not has less.

    Args:
        outcomes: all episodes of each question, of a policy that rules none out.
        weights: float64 [questions], share of each question.
        meaning: from `meaning_chances`, of that policy.
        vocabulary: see `blind_values`.
        k: episodes of a group.
        budgets: further numbers of episodes for "effective@k".
    """
    ways = (meaning > 0).sum(1)
    safe = np.maximum(ways, 1)
    answerable = float(weights @ (ways > 0))
    out = {
        "valid": np.array([0.0, answerable]),
        "among": np.array([1 / k, 1.0]),
        "pairwise": np.array([0.0, weights @ np.where(ways > 0, 1 - 1 / safe, 0.0)]),
        "spread": np.array([0.0, (1 - 1 / safe).max()]),
    }
    for name, size in (("effective", k), *((f"effective@{size}", size) for size in budgets)):
        out[name] = np.array([0.0, weights @ (ways * (1 - (1 - 1 / safe) ** size)) / size])
    listed = outcomes.chances > 0
    number = _ones(outcomes.codes["retrieval"])
    same = np.where(listed, _adjusted(number, k * outcomes.decisions, vocabulary), np.inf).min(1)
    shown = np.bitwise_or.reduce(np.where(listed, outcomes.codes["retrieval"], 0), 1)
    shortest = k * np.where(listed, outcomes.decisions, np.iinfo(np.int64).max).min(1)
    out["lexical"] = np.array([weights @ same, weights @ _adjusted(_ones(shown), shortest, vocabulary)])
    episodes = listed.sum(1)
    out["sequences"] = np.array([1 / k, weights @ (episodes * (1 - (1 - 1 / episodes) ** k)) / k])
    return out


def _lexical(outcomes: Outcomes, vocabulary: int, k: int) -> Array:
    """Mean of the adjusted number of distinct queries over groups of k episodes, float64 [questions].

    A group's queries lie inside a set with the k-th power of the chance that one episode's do. With the number of
    queries as the exponent of a polynomial, this holds for sets and numbers at once; Fourier transforms take the power.
    Subtracting the proper subsets leaves the chance that the group's queries are the set itself; that is done once, to
    what each set and number counts.
    """
    shown, lengths = outcomes.codes["retrieval"], outcomes.decisions
    sets, size = 1 << vocabulary, k * int(lengths.max()) + 1
    inside = np.zeros((len(shown), sets, size))
    np.add.at(inside, (np.arange(len(shown))[:, None], shown, lengths), outcomes.chances)
    counted = _adjusted(_ones(np.arange(sets))[:, None], np.arange(size)[None, :], vocabulary)
    for bit in range(vocabulary):
        one = inside.reshape(len(shown), -1, 2, 1 << bit, size)
        one[:, :, 1] += one[:, :, 0]
        two = counted.reshape(-1, 2, 1 << bit, size)
        two[:, 0] -= two[:, 1]
    groups = np.fft.irfft(np.fft.rfft(inside, axis=2) ** k, n=size, axis=2)
    out: Array = np.einsum("qsc,sc->q", groups, counted)
    return out


def _adjusted(distinct: NDArray[np.int64], queries: NDArray[np.int64], vocabulary: int) -> Array:
    """N / (V (1 - ((V - 1) / V)^C)); 0 where there is no query."""
    expected = vocabulary * (1 - ((vocabulary - 1) / vocabulary) ** np.asarray(queries, np.float64))
    out: Array = np.divide(distinct, expected, out=np.zeros(np.broadcast(distinct, expected).shape), where=expected > 0)
    return out


def _ones(codes: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
    """Number of elements of bit sets."""
    rest = np.array(codes, np.int64)
    out = np.zeros_like(rest)
    while rest.any():
        out += rest & 1
        rest >>= 1
    return out
