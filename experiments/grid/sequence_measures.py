"""Distinct query sequences of a group of episodes and what becomes of the questions solved; exact in the population.

An episode of the tabular policy is one sequence of queries, and on a given question a sequence either ends right or
wrong. So the expected number of distinct sequences of n episodes is the sum over sequences of 1 - (1 - p)^n, and
nothing is drawn. Terms that are easily mixed up:

* a *query sequence* is the order of kinds that an episode queried, misses among them; it is right or wrong;
* a *kind signature* is the kinds that held the facts of a right episode, one for each hop: its evidence path;
* *gained* is the share of questions that a group of the policy solves and a group of the base does not, *lost* the
  reverse. Two groups of one policy also differ: the row of the base is that floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...policies.tabular.kinds import KindWorld, kind_probabilities
from ...policies.tabular.outcomes import Outcomes, list_episodes
from ...policies.tabular.values import RowTable
from .measuring import population_of

__all__ = ["SequenceMeasures", "SequenceValues", "decay"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SequenceMeasures:
    """A `Beside`, whose measures are named after the number n of episodes of a group: with 64, "queries@64".

    queries, right, wrong: expected distinct query sequences, those that end right, and those that end wrong.
    signatures: expected distinct kind signatures. gained, lost: see above. new: expected share of the policy's distinct
    sequences that a group of the base does not have. pass@n. pass@(k,T) for k 1 and n and every T up to the budget: at
    least one of k episodes succeeds within its first T queries. decay_slope, decay_r2, decay_ranks: see `decay`, over
    the kinds queried at each hop.

    Attributes:
        episodes: n.
        fewer: the counts are also given for groups of this size.
    """

    episodes: int = 64
    fewer: int = 8

    def __call__(self, rows: RowTable, world: KindWorld, start: Array) -> SequenceValues:
        """See `Beside`."""
        return SequenceValues(self, rows, world, kind_probabilities(start))


class SequenceValues:
    """The measures of one World and start.

    Args:
        sizes: of the groups.
        rows: the questions that the World can generate, and their probabilities.
        world: gives budget and kinds.
        start: of the base, as `kind_probabilities`.
    """

    def __init__(self, sizes: SequenceMeasures, rows: RowTable, world: KindWorld, start: Array) -> None:
        self._sizes, self._weights = sizes, rows.weights
        self._world = population_of(rows, world)
        self._episodes = list_episodes(self._world)
        self._base = self._episodes.outcomes(start)

    def values(self, logits: Array) -> Mapping[str, float]:
        """See `SequenceMeasures`; means over the questions."""
        n, world, weights = self._sizes.episodes, self._world, self._weights
        base, found = self._base, self._episodes.outcomes(kind_probabilities(logits))
        out: dict[str, float] = {}
        for size in (n, self._sizes.fewer):
            counts = _counts(found, size)
            out |= {f"{name}@{size}": float(weights @ count) for name, count in counts.items()}
        out[f"pass@{n}"] = float(weights @ found.solved(n))
        won, won_before = found.solved(n), base.solved(n)
        out[f"gained@{n}"] = float(weights @ (won * (1 - won_before)))
        out[f"lost@{n}"] = float(weights @ (won_before * (1 - won)))
        fresh = (_met(found.chances, n) * (1 - _met(base.chances, n))).sum(1)
        out[f"new@{n}"] = float(weights @ fresh) / out[f"queries@{n}"]
        for within in range(world.budget + 1):
            done = (found.chances * (found.success & (found.decisions <= within))).sum(1)
            out |= {f"pass@({k},{within})": float(weights @ _met(done, k)) for k in (1, n)}
        visits = [weights @ (found.chances * _shown(found, node)).sum(1) for node in range(_num_nodes(world))]
        return {**out, **decay(visits)}

    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """A policy that always does the same has one sequence; none has more than if all were as likely."""
        world, weights, sizes = self._world, self._weights, self._sizes
        even = self._episodes.outcomes(kind_probabilities(np.zeros(world.table_shape)))
        listed = replace(even, chances=(even.chances > 0).astype(np.float64))
        possible = _counts(listed, 1)
        solvable = float(weights @ (listed.chances * listed.success).any(1))
        return {
            f"pass@{sizes.episodes}": (0.0, solvable),
            **{
                f"{name}@{size}": (float(name == "queries"), float(weights @ _most(count, size)))
                for size in (sizes.episodes, sizes.fewer)
                for name, count in possible.items()
            },
        }


def decay(visits: Sequence[float]) -> dict[str, float]:
    """Least squares of log10 visits = a - slope * rank over places with visits, most visited first.

    The slope depends on the range of ranks and, for counts of a sample, on the number of visits. Expected visits, as
    here, have no such number. decay_r2 is the share of the variance of the logarithms that the line explains, NaN with
    fewer than three places, as the slope is.
    """
    ranked = np.sort([value for value in visits if value > 0])[::-1]
    if len(ranked) < 3:
        return {"decay_slope": float("nan"), "decay_r2": float("nan"), "decay_ranks": float(len(ranked))}
    ranks, logs = np.arange(1.0, len(ranked) + 1), np.log10(ranked)
    slope, at_zero = np.polyfit(ranks, logs, 1)
    residual, total = logs - (at_zero + slope * ranks), logs - logs.mean()
    explained = 1 - float(residual @ residual) / float(total @ total) if total.any() else float("nan")
    return {"decay_slope": float(-slope), "decay_r2": explained, "decay_ranks": float(len(ranked))}


def _counts(found: Outcomes, size: float) -> dict[str, Array]:
    """Expected distinct sequences and signatures of a group of this size, float64 [questions] each.

    Every episode of `Outcomes` is a sequence of its own.
    """
    met = _met(found.chances, size)
    return {
        "queries": met.sum(1),
        "right": (met * found.success).sum(1),
        "wrong": (met * ~found.success).sum(1),
        "signatures": _distinct_signatures(found, size),
    }


def _distinct_signatures(found: Outcomes, size: float) -> Array:
    codes = np.where(found.success, found.codes["evidence"], 0)
    total = np.zeros(len(codes))
    for code in np.unique(codes[codes > 0]):
        total += _met((found.chances * (codes == code)).sum(1), size)
    return total


def _met(chances: Array, size: float) -> Array:
    """Probability that something of these chances an episode happens in a group of this size."""
    out: Array = 1 - (1 - np.clip(chances, 0.0, 1.0)) ** size
    return out


def _most(possible: Array, size: float) -> Array:
    """Most expected distinct ones that a group of this size can have where this many are possible."""
    return possible * _met(1 / np.maximum(possible, 1.0), size)


def _num_nodes(world: KindWorld) -> int:
    return int(np.prod(world.present.shape[1:]))


def _shown(found: Outcomes, node: int) -> NDArray[np.bool_]:
    """Whether an episode queried this kind at this hop; it queries none twice."""
    shown: NDArray[np.bool_] = (found.codes["retrieval"] >> node & 1).astype(np.bool_)
    return shown
