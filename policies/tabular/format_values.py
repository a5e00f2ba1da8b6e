"""Exact values, in the population, of a tabular policy that chooses a query format once an episode.

A record is absent, or present and found by some of the formats. To a query in a format, present records that the format
fails on are void, so that the chance of success depends on the records that the format finds alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ...envs.world.config import WorldConfig
from ...retrieval_index.errors import BerrypickError
from .choices import choice_probabilities
from .formats import FormatLogits
from .kinds import kind_probabilities
from .row_table import RowTable
from .values import row_success

__all__ = ["FormatPopulation", "share_measures"]

Array = NDArray[np.float64]

TAKEOVER = 0.8
"""Share above which a format has taken over."""


@dataclass(frozen=True, slots=True)
class FormatPopulation:
    """All questions that a World can generate, as each of its planted formats sees them.

    Attributes:
        patterns: the sets of records that can be found.
        seen: int [formats, rows], the pattern that a format sees of each question.
        weights: float64 [rows], probability of the question.
        budget: of the World.
    """

    patterns: RowTable
    seen: NDArray[np.int64]
    weights: Array
    budget: int

    @classmethod
    def of(cls, config: WorldConfig) -> FormatPopulation:
        """Raises `BerrypickError` for a World with a cue or several answers."""
        if config.cue > 0 or config.num_answers > 1:
            raise BerrypickError(
                "formats are valued in Worlds without cue and with one answer; set cue=0, num_answers=1"
            )
        chances = [*config.format_failures, *[0.0] * len(config.query_formats)]
        failing = tuple(chances[form] for form, share in enumerate(config.query_formats) if share > 0)
        return _population(config.availability, failing, config.hops, config.budget)

    def success(self, kinds: Array) -> Array:
        """The chance of success of each run on each pattern, float64 [runs, patterns].

        Args:
            kinds: float64 [runs, hops, sets, left, kinds], logits.
        """
        runs, count = len(kinds), len(self.patterns.weights)
        rows = RowTable(
            np.tile(self.patterns.present, (runs, 1, 1)),
            np.repeat(np.arange(runs), count),
            np.tile(self.patterns.weights, runs),
            np.empty(0, np.int64),
        )
        return row_success(rows, kind_probabilities(kinds), self.budget).reshape(runs, count)

    def values(self, policies: FormatLogits, ks: Sequence[int] = (1, 2, 4, 8, 16)) -> dict[str, float]:
        """Means over runs: pass@k; pass@1_i, of episodes in format i; and `share_measures`."""
        shares = choice_probabilities(policies.formats)
        success = self.success(policies.kinds)[:, self.seen]  # [runs, formats, rows]
        mixed = np.einsum("rf,rfn->rn", shares, success)
        values = {f"pass@{k}": float(((1 - (1 - mixed) ** k) @ self.weights).mean()) for k in ks}
        values |= {f"pass@1_{form}": float(value) for form, value in enumerate((success @ self.weights).mean(0))}
        return values | share_measures(shares)


def share_measures(shares: Array) -> dict[str, float]:
    """What the shares of three or more formats, [runs, formats] in the order of the World, say in the mean over runs.

    share_i: of format i. largest_share: of whichever format is largest. takeover: whether that is above .8. wins_i:
    whether format i is the largest. lead: of what the second and third format have together, the share of the second;
    NaN where they have nothing. format_entropy: nats.
    """
    winner, rest = shares.argmax(1), shares[:, 1:3].sum(1)
    logs = np.log(np.where(shares > 0, shares, 1.0))
    return {
        **{f"share_{form}": float(value) for form, value in enumerate(shares.mean(0))},
        **{f"wins_{form}": float((winner == form).mean()) for form in range(shares.shape[1])},
        "lead": float(np.divide(shares[:, 1], rest, out=np.full(len(rest), np.nan), where=rest > 0).mean()),
        "largest_share": float(shares.max(1).mean()),
        "takeover": float((shares.max(1) > TAKEOVER).mean()),
        "format_entropy": float(-(shares * logs).sum(1).mean()),
    }


@lru_cache(maxsize=16)
def _population(
    availability: tuple[float, ...], failing: tuple[float, ...], hops: int, budget: int
) -> FormatPopulation:
    """See `FormatPopulation.of`; `failing`: each format's failure probability."""
    kinds = len(availability)
    present = np.array(list(product((False, True), repeat=hops * kinds))).reshape(-1, hops, kinds)
    chance = np.where(present, availability, 1 - np.array(availability)).prod((1, 2))
    # of a record: absent, or present with a set of formats that find it
    finds = [
        (float(np.prod([1 - q if hit else q for q, hit in zip(failing, found)])), found)
        for found in product((False, True), repeat=len(failing))
    ]
    outcomes = [
        [(1 - a, (False,) * len(failing)), *((a * p, found) for p, found in finds if p > 0)] for a in availability
    ] * hops
    joint: dict[tuple[int, ...], float] = {(0,) * len(failing): 1.0}
    for outcome in outcomes:
        longer: dict[tuple[int, ...], float] = {}
        for seen, weight in joint.items():
            for p, found in outcome:
                key = tuple(2 * code + hit for code, hit in zip(seen, found))
                longer[key] = longer.get(key, 0.0) + weight * p
        joint = longer
    patterns = RowTable(present, np.zeros(len(present), np.int64), chance, np.empty(0, np.int64))
    return FormatPopulation(patterns, np.array(list(joint)).T, np.array(list(joint.values())), budget)
