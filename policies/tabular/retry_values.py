"""Exact values of attempts and retries on given questions, such as all that a World can generate. Nothing is sampled.

See `retries` for the policy. Probabilities of states are propagated from the first query to the last, for all questions
at once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .retries import Actor, Flags, Ints, Misreading

__all__ = ["AttemptValues", "attempt_values", "hardest", "retried", "vote_success"]

Array = NDArray[np.float64]
_Path = tuple[tuple[int, int], ...]
"""Of each hop that was left: the kinds tried in vain, as a bit set, and the kind found."""


@dataclass(frozen=True, slots=True)
class AttemptValues:
    """Probabilities of one attempt at each question.

    Attributes:
        success: float64 [questions].
        wrong: float64 [questions], it ends with a wrong answer; otherwise it has none.
        searches: float64 [questions], expected number, those from a wrong name included.
        ways: kinds in which the facts were found, one for each hop -> float64 [questions], success in this way.
        failures: kinds searched at each hop, as bit sets -> float64 [questions], failure after these. A kind that held
            the fact may be among them: it was misread.
    """

    success: Array
    wrong: Array
    searches: Array
    ways: dict[tuple[int, ...], Array]
    failures: dict[tuple[int, ...], Array]


def attempt_values(
    present: Flags, reader: Misreading, actor: Actor, budget: int, named: Ints | None = None
) -> AttemptValues:
    """Values of an attempt.

    Args:
        present: bool [questions, hops, kinds].
        reader: how passages are misread.
        actor: the policy.
        budget: most queries.
        named: int64 [questions, hops], what a comment names; without one nothing.
    """
    size, num_hops, num_kinds = present.shape
    said = np.zeros((size, num_hops), np.int64) if named is None else named
    full = 2**num_kinds - 1
    success, wrong, searches = np.zeros(size), np.zeros(size), np.zeros(size)
    ways: dict[tuple[int, ...], Array] = defaultdict(lambda: np.zeros(size))
    failures: dict[tuple[int, ...], Array] = defaultdict(lambda: np.zeros(size))
    states: dict[tuple[int, _Path], Array] = {(0, ()): np.ones(size)}
    for left in range(budget, 0, -1):
        after: dict[tuple[int, _Path], Array] = defaultdict(lambda: np.zeros(size))
        for (tried, path), mass in states.items():
            hop = len(path)
            last = hop == num_hops - 1
            chances = actor.chances(np.full(size, hop), np.full(size, tried), left, said[:, hop])
            searches += mass
            for kind in range(num_kinds):
                if tried >> kind & 1:
                    continue
                flow = mass * chances[:, kind]
                with_kind = tried | 1 << kind
                astray = flow * reader.slip * reader.named[kind]
                hit = flow * (1 - reader.slip) * present[:, hop, kind]
                missed = flow - astray - hit
                failures[_searched(path, with_kind, num_hops)] += astray
                if last:
                    success += hit
                    wrong += astray
                    ways[(*(found for _, found in path), kind)] += hit
                else:
                    searches += astray * (left - 1)
                    after[0, (*path, (tried, kind))] += hit
                if with_kind == full:
                    failures[_searched(path, with_kind, num_hops)] += missed
                else:
                    after[with_kind, path] += missed
        states = after
    for (tried, path), mass in states.items():
        failures[_searched(path, tried, num_hops)] += mass
    return AttemptValues(success, wrong, searches, dict(ways), dict(failures))


def _searched(path: _Path, tried: int, num_hops: int) -> tuple[int, ...]:
    """Kinds searched in vain at each hop; a hop that was not reached has none."""
    here = [missed for missed, _ in path] + [tried]
    return tuple(here + [0] * (num_hops - len(here)))


def retried(
    present: Flags, reader: Misreading, actor: Actor, budget: int, first: AttemptValues, *, tells: bool
) -> Array:
    """Probability that a question is solved by an attempt, or by the retry after a comment, float64 [questions].

    Args:
        present: bool [questions, hops, kinds].
        reader: of the first attempt; a retry reads carefully.
        actor: the policy.
        budget: of each.
        first: values of the first attempt.
        tells: whether the comment names the kinds found void.
    """
    again = reader.careful()
    if not tells:
        out: Array = first.success + (1 - first.success) * attempt_values(present, again, actor, budget).success
        return out
    bits = (present * (1 << np.arange(present.shape[2]))).sum(2)
    total = first.success.copy()
    for searched, mass in first.failures.items():
        if mass.any():
            named = np.array(searched)[None, :] & ~bits
            total += mass * attempt_values(present, again, actor, budget, named).success
    return total


def vote_success(right: Array, wrong: Array, votes: int) -> Array:
    """Probability that the most frequent answer of some attempts is the right one, float64 [questions].

    Attempts without an answer abstain. No two wrong answers agree, since they come from clauses of different passages;
    ties are broken at random. Two right votes therefore win.
    """
    none = np.clip(1 - right - wrong, 0.0, 1.0)
    total = np.zeros_like(right)
    for good in range(1, votes + 1):
        for bad in range(votes - good + 1):
            ways = math.comb(votes, good) * math.comb(votes - good, bad)
            won = 1.0 if good > 1 else 1 / (1 + bad)
            total += won * ways * right**good * wrong**bad * none ** (votes - good - bad)
    return total


def hardest(success: Array, solvable: Flags, weights: Array, share: float = 0.25) -> Array:
    """How far each question belongs to the hardest share of the solvable ones, float64 [questions] in [0, 1].

    Args:
        success: of the policy that says what is hard.
        solvable: bool [questions]; others do not belong.
        weights: float64 [questions], share of each question.
        share: of the solvable questions, by weight; questions of equal success belong to it by equal parts.
    """
    rest, out = share * float(weights[solvable].sum()), np.zeros(len(success))
    rounded = np.round(success, 9)
    for value in np.unique(rounded[solvable]):
        level = solvable & (rounded == value)
        held = float(weights[level].sum())
        out[level] = min(1.0, rest / held) if held else 0.0
        rest = max(0.0, rest - held)
    return out
