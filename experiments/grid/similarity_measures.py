"""How alike a tabular policy's episodes are to each other, exact in the population.

The similarity within a policy under each encoder of `policies/tabular/similarity.py`, its floor, the same from drawn
episodes, and what temperature and truncated sampling make of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ...policies.tabular.kinds import KindWorld, kind_probabilities
from ...policies.tabular.outcomes import list_episodes
from ...policies.tabular.similarity import ENCODERS, Encoder, encode, sampled_similarity, truncated
from ...policies.tabular.values import RowTable
from .measuring import population_of

__all__ = ["SIMILARITY_MEASURES", "TEMPERATURES", "SimilarityValues", "measure_similarity"]

Array = NDArray[np.float64]

TEMPERATURES = (0.5, 0.7, 1.4, 2.0)
HOT = 1.4
HIGH = 0.8
TOP_P = {"top_p": 0.9}
MIN_P, MIN_P_TEMPERATURE = {"min_p": 0.1}, 2.0
QUESTIONS, SAMPLES = 100, 50
"""Numbers of the paper, for the similarity from drawn episodes; so are the settings of truncated sampling."""

_WITH_FLOOR: tuple[Encoder, ...] = ("words", "orders")

SIMILARITY_MEASURES = (
    *ENCODERS, *(f"{name}_{what}" for name in _WITH_FLOOR for what in ("floor", "above_floor")),
    "records_high", "words_high", "high_gap", "records_sampled", *(f"records_t{t:g}" for t in TEMPERATURES), "hot_gain",
    "records_top_p", "records_min_p", "words_high_top_p", "words_high_min_p", "sampling_gap", "records_with_start",
)  # fmt: skip
"""records, words, orders: similarity of two episodes of a question. NAME_floor: of two questions; NAME_above_floor: the
difference. NAME_high: share of questions on which it is above .8; high_gap: that of words minus that of records.
records_sampled: from 50 drawn episodes of 100 questions. records_tT: at temperature T; hot_gain: at 1.4, minus that of
the start at 1. NAME_top_p: with top-p .9; NAME_min_p: with min-p .1 at temperature 2; sampling_gap: records_top_p -
records_min_p. records_with_start: of an episode of the policy and one of its start."""


class SimilarityValues:
    """The measures of one World and start; see `PopulationMeasures`.

    Args:
        rows: the questions that the World can generate, and their probabilities.
        world: gives budget and kinds; its questions seed the draws.
        start: logits that training began with.
    """

    def __init__(self, rows: RowTable, world: KindWorld, start: Array) -> None:
        population = population_of(rows, world)
        self._episodes = list_episodes(population)
        self._encoded = encode(population, rows.weights, self._episodes)
        self._start = self._encoded["records"].mean_vectors(self._chances(kind_probabilities(start)))
        self._even = kind_probabilities(np.zeros_like(start))
        self._seed = crc32(world.present.tobytes())

    def values(self, logits: Array) -> Mapping[str, float]:
        """Those of `SIMILARITY_MEASURES`."""
        chances = self._chances(kind_probabilities(logits))
        records = self._encoded["records"]
        means = {name: one.mean_vectors(chances) for name, one in self._encoded.items()}
        out: dict[str, float] = {name: one.similarity(means[name], means[name]) for name, one in self._encoded.items()}
        for name in _WITH_FLOOR:
            out[f"{name}_floor"] = self._encoded[name].floor(means[name], means[name])
            out[f"{name}_above_floor"] = out[name] - out[f"{name}_floor"]
        out["records_high"] = records.above(means["records"], HIGH)
        out["words_high"] = self._encoded["words"].above(means["words"], HIGH)
        out["high_gap"] = out["words_high"] - out["records_high"]
        out["records_sampled"] = sampled_similarity(
            records, chances, questions=QUESTIONS, samples=SAMPLES, seed=self._seed
        )
        out |= {f"records_t{t:g}": self._records(kind_probabilities(logits, t)) for t in TEMPERATURES}
        out["hot_gain"] = out[f"records_t{HOT:g}"] - records.similarity(self._start, self._start)
        samplers = {
            "top_p": truncated(kind_probabilities(logits), **TOP_P),
            "min_p": truncated(kind_probabilities(logits, MIN_P_TEMPERATURE), **MIN_P),
        }
        for sampler, probabilities in samplers.items():
            drawn = self._chances(probabilities)
            out[f"records_{sampler}"] = self._records(probabilities)
            words = self._encoded["words"]
            out[f"words_high_{sampler}"] = words.above(words.mean_vectors(drawn), HIGH)
        out["sampling_gap"] = out["records_top_p"] - out["records_min_p"]
        out["records_with_start"] = records.similarity(means["records"], self._start)
        return out

    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """From a policy that draws all kinds alike to one that always does the same."""
        chances, records = self._chances(self._even), self._encoded["records"]
        out: dict[str, tuple[float, float]] = {}
        for name, one in self._encoded.items():
            mean = one.mean_vectors(chances)
            out[name] = (one.similarity(mean, mean), 1.0)
        out |= {f"{name}_above_floor": (out[name][0] - 1, 1.0) for name in _WITH_FLOOR}
        least, start = out["records"][0], records.similarity(self._start, self._start)
        return {
            **out,
            **dict.fromkeys(("records_high", "words_high", "words_high_top_p", "words_high_min_p"), (0.0, 1.0)),
            "high_gap": (-1.0, 1.0),
            "hot_gain": (least - start, 1 - start),
            "sampling_gap": (least - 1, 1 - least),
        }

    def _chances(self, probabilities: Array) -> Array:
        return self._episodes.outcomes(probabilities).chances

    def _records(self, probabilities: Array) -> float:
        mean = self._encoded["records"].mean_vectors(self._chances(probabilities))
        return self._encoded["records"].similarity(mean, mean)


def measure_similarity(rows: RowTable, world: KindWorld, start: Array) -> SimilarityValues:
    """See `Beside`."""
    return SimilarityValues(rows, world, start)
