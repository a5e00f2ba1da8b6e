"""Intervals: bootstrap over questions, t over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "bootstrap_indices", "bootstrap_mean", "holm", "paired_t_interval", "t_quantile"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with a 95 % interval over n units."""

    value: float
    low: float
    high: float
    n: int


def bootstrap_indices(num_questions: int, *, num_resamples: int = 2000, seed: int = 0) -> NDArray[np.int64]:
    """Resampled question indices, int64 [resamples, questions]; arms that share them have paired differences."""
    return np.random.default_rng(seed).integers(0, num_questions, size=(num_resamples, num_questions))


def bootstrap_mean(values: NDArray[np.float64], indices: NDArray[np.int64]) -> Estimate:
    """Mean over questions with its percentile interval.

    Args:
        values: float64 [questions]; NaN where a question has no value (it is left out of each resample's mean).
        indices: from `bootstrap_indices`.

    Raises:
        ValueError: no question has a value.
    """
    known = ~np.isnan(values)
    if not known.any():
        raise ValueError("no question has a value")
    filled = np.where(known, values, 0.0)
    counts = known[indices].sum(1)
    means = filled[indices].sum(1)[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(filled.sum() / known.sum()), float(low), float(high), int(known.sum()))


def paired_t_interval(differences: Sequence[float]) -> Estimate:
    """Mean of paired differences, one a seed, with Student's 95 % interval; at least two seeds."""
    n = len(differences)
    if n < 2:
        raise ValueError(f"an interval over seeds needs at least 2 seeds, got {n}")
    mean = float(np.mean(differences))
    half = t_quantile(0.975, n - 1) * float(np.std(differences, ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t for whole degrees of freedom, by bisection on its exact distribution function."""
    low, high = -1e6, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_distribution(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def _t_distribution(t: float, degrees: int) -> float:
    """Finite series for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    term, total = 1.0, 0.0
    if degrees % 2:
        term = cosine
        for j in range(1, (degrees - 1) // 2 + 1):
            total += term
            term *= cosine * cosine * (2 * j) / (2 * j + 1)
        inside = 2 / math.pi * (angle + sine * total)
    else:
        for j in range(1, degrees // 2 + 1):
            total += term
            term *= cosine * cosine * (2 * j - 1) / (2 * j)
        inside = sine * total
    return 0.5 + inside / 2


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = worst
    return adjusted
