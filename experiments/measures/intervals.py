"""Intervals of an arm's measures: the bootstrap over questions, and Wilson's where all questions have 0 or all 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.statistics import Estimate, bootstrap_means, wilson_interval
from .measures import measure_of
from .rows import EstimateRow, estimate_row

__all__ = ["arm_estimate", "arm_estimates", "is_proportion"]

_DIFFERENCES = frozenset({"give_up_loss", "execution_loss", "frontier_distance", "price", "waste"})
"""Measures in shares that subtract two shares; 0 is no end of their range."""


def is_proportion(key: str) -> bool:
    """Whether the value of a question is a share from 0 to 1, so that a mean of 0 or 1 is that of every question."""
    return measure_of(key).unit == "share" and key not in _DIFFERENCES


def arm_estimate(key: str, estimate: Estimate) -> EstimateRow:
    """The estimate of a measure of one arm, with an interval that has a width wherever an honest one is known.

    Resamples of equal values are all equal, so the bootstrap would give [0, 0] for 0 of 5 questions. Proportions get
    the Wilson score interval there. Any other measure without spread keeps low = high.
    """
    low, high = estimate.low, estimate.high
    if low == high and estimate.value in (0.0, 1.0) and is_proportion(key):
        low, high = wilson_interval(estimate.value, estimate.n)
    return estimate_row(Estimate(estimate.value, low, high, estimate.n))


def arm_estimates(columns: Mapping[str, NDArray[np.float64]], *, seed: int = 0) -> dict[str, EstimateRow]:
    """The estimates of the columns of one arm, each float64 [questions] with NaN for a question without a value."""
    return {key: arm_estimate(key, row) for key, row in bootstrap_means(columns, seed=seed).items()}
