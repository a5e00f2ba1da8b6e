"""How varied are k episodes, counted with and without regard to validity; exact in the population.

Validity is success. Valid episodes mean the same if they found the same evidence; with the suffix "_answers", which
only Worlds of conflicting answers have, if they ended in the same answer. `Validity` measures beside the exact values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...policies.tabular.kinds import KindWorld, kind_probabilities
from ...policies.tabular.outcomes import Episodes, Outcomes, list_episodes
from ...policies.tabular.validity import (
    Meaning,
    blind_values,
    distinct_over_all,
    least_and_most,
    meaning_chances,
    valid_values,
)
from ...policies.tabular.values import RowTable
from .measuring import population_of

__all__ = ["ANSWERS", "VALIDITY_MEASURES", "measure_validity"]

K = 8
BUDGETS = (2, 4, 8, 16, 32)
"""Episodes of a group for effective@k; at k = 1 it is validity itself."""

ANSWERS = "_answers"
_OF_MEANING = ("among", "effective", "pairwise", "spread", *(f"effective@{k}" for k in BUDGETS), "effective_if_valid")

VALIDITY_MEASURES = (
    "valid", "valid_gain", "lexical", "sequences", *_OF_MEANING, *(f"{name}{ANSWERS}" for name in _OF_MEANING)
)  # fmt: skip
"""valid_gain is validity minus that of the start, effective_if_valid the effective diversity of the start if it were as
often valid on each question and its valid episodes were as varied as before. Others: see `valid_values`, of 8 episodes.
"""


@dataclass(frozen=True)
class _Validity:
    """See `PopulationMeasures`."""

    world: KindWorld
    weights: NDArray[np.float64]
    start: NDArray[np.float64]

    def values(self, logits: NDArray[np.float64]) -> Mapping[str, float]:
        """Those of `VALIDITY_MEASURES`, without answers where they do not conflict."""
        now = self._outcomes(logits)
        out = blind_values(now, self.weights, self._vocabulary, K)
        for meaning, suffix in self._meanings().items():
            chances, start = self._chances(now, meaning), self._start_chances[meaning]
            found = valid_values(chances, self.weights, K)
            valid = found.pop("valid")
            out |= {"valid": valid, "valid_gain": valid - float(self.weights @ start.sum(1))}
            found |= {f"effective@{k}": distinct_over_all(chances, self.weights, k) for k in BUDGETS}
            found["effective_if_valid"] = distinct_over_all(_as_valid(start, chances), self.weights, K)
            out |= {f"{name}{suffix}": value for name, value in found.items()}
        return out

    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """Of a policy that knew which records exist; one that does not has less room still."""
        every = self._outcomes(np.zeros_like(self.start))
        out = {}
        for meaning, suffix in self._meanings().items():
            chances = self._chances(every, meaning)
            for name, pair in least_and_most(every, self.weights, chances, self._vocabulary, K, BUDGETS).items():
                own = "" if name in ("valid", "lexical", "sequences") else suffix
                out[f"{name}{own}"] = (float(pair[0]), float(pair[1]))
        return out

    @property
    def _vocabulary(self) -> int:
        return int(np.prod(self.world.present.shape[1:]))

    def _meanings(self) -> dict[Meaning, str]:
        return {"path": "", "answer": ANSWERS} if self.world.num_answers > 1 else {"path": ""}

    @cached_property
    def _episodes(self) -> Episodes:
        return list_episodes(self.world)

    @cached_property
    def _start_chances(self) -> dict[Meaning, NDArray[np.float64]]:
        first = self._outcomes(self.start)
        return {meaning: self._chances(first, meaning) for meaning in self._meanings()}

    def _outcomes(self, logits: NDArray[np.float64]) -> Outcomes:
        return self._episodes.outcomes(kind_probabilities(logits))

    def _chances(self, outcomes: Outcomes, meaning: Meaning) -> NDArray[np.float64]:
        _, hops, kinds = self.world.present.shape
        return meaning_chances(outcomes, meaning, (hops - 1) * kinds)


def _as_valid(start: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """The chances of the start, scaled on each question to the validity that the policy has now."""
    before = start.sum(1, keepdims=True)
    scale = np.divide(now.sum(1, keepdims=True), before, out=np.zeros_like(before), where=before > 0)
    out: NDArray[np.float64] = start * scale
    return out


def measure_validity(rows: RowTable, world: KindWorld, start: NDArray[np.float64]) -> _Validity:
    """The `Beside` of an experiment whose measures are `VALIDITY_MEASURES`."""
    return _Validity(population_of(rows, world), rows.weights, start)
