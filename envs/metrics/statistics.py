"""Intervals and tests: bootstrap over questions, t over seeds, equivalence, Holm, and the aggregates of rliable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Estimate",
    "bootstrap_indices",
    "bootstrap_mean",
    "bootstrap_means",
    "equivalence_p",
    "hierarchical_bootstrap",
    "holm",
    "interquartile_mean",
    "one_sided_p",
    "paired_t_interval",
    "probability_of_improvement",
    "t_probability",
    "t_quantile",
    "wilson_interval",
    "win_tie_loss",
]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval over n units."""

    value: float
    low: float
    high: float
    n: int


def bootstrap_indices(num_questions: int, *, num_resamples: int = 2000, seed: int = 0) -> NDArray[np.int64]:
    """Resampled question indices, int64 [resamples, questions]. Arms that share them have paired differences."""
    return np.random.default_rng(seed).integers(0, num_questions, size=(num_resamples, num_questions))


def bootstrap_mean(values: NDArray[np.float64], indices: NDArray[np.int64]) -> Estimate:
    """Mean over questions with its percentile interval.

    Args:
        values: float64 [questions]; NaN for a question without a value, which is left out of each resample's mean.
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


_MANY = 2048


def bootstrap_means(columns: Mapping[str, NDArray[np.float64]], *, seed: int = 0) -> dict[str, Estimate]:
    """`bootstrap_mean` of several columns over the same resamples, those of `bootstrap_indices`.

    Above 2,048 questions the resamples are drawn in blocks and never held together. A block is a matrix of how often
    each question was drawn, so that one product gives all sums; they equal the others up to rounding.

    Args:
        columns: name -> float64 [questions], all of one length; NaN for a question without a value.
        seed: of the resamples.
    """
    if not columns:
        return {}
    table = np.stack(list(columns.values()), axis=1)  # [questions, columns]
    if len(table) <= _MANY:
        indices = bootstrap_indices(len(table), seed=seed)
        return {name: bootstrap_mean(column, indices) for name, column in columns.items()}
    known = ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    generator, blocks = np.random.default_rng(seed), []
    for _ in range(0, 2000, 100):
        drawn = generator.integers(0, len(table), size=(100, len(table)))
        times = np.stack([np.bincount(row, minlength=len(table)) for row in drawn]).astype(np.float64)
        blocks.append((times @ filled, times @ known))
    sums, counts = (np.concatenate(parts) for parts in zip(*blocks, strict=True))  # [resamples, columns]
    return {name: _estimate(filled[:, at], known[:, at], sums[:, at], counts[:, at]) for at, name in enumerate(columns)}


def _estimate(
    filled: NDArray[np.float64], known: NDArray[np.bool_], sums: NDArray[np.float64], counts: NDArray[np.float64]
) -> Estimate:
    low, high = np.quantile(sums[counts > 0] / counts[counts > 0], [0.025, 0.975])
    return Estimate(float(filled.sum() / known.sum()), float(low), float(high), int(known.sum()))


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson 1927), which has a width also at 0 of n and at n of n.

    Args:
        share: of the n units, from 0 to 1. It may be a mean of values between 0 and 1, which spread less than zeros and
            ones of the same mean; the interval is then too wide, never too narrow.
        n: number of units, at least 1.
    """
    if n < 1 or not 0 <= share <= 1:
        raise ValueError(f"a proportion needs a share from 0 to 1 of at least 1 unit, got {share} of {n}")
    z = 1.959963984540054  # the 97.5 % quantile of the standard normal distribution
    middle, size = share + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    low, high = (middle - half) / size, (middle + half) / size
    return 0.0 if share == 0 else low, 1.0 if share == 1 else high


def hierarchical_bootstrap(
    first: NDArray[np.float64], second: NDArray[np.float64], *, num_resamples: int = 2000, seed: int = 0
) -> Estimate:
    """Mean of second - first with a 95 % percentile interval over seeds and questions.

    Seeds are resampled within each arm. Questions are resampled once, for both arms.

    Args:
        first: float64 [seeds, questions], no NaN.
        second: float64 [seeds, questions]; the seeds may differ in number, the questions are the same.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"arms with {first.shape[1]} and {second.shape[1]} questions cannot be paired")
    generator = np.random.default_rng(seed)
    draws = np.empty(num_resamples)
    for at in range(num_resamples):
        questions = generator.integers(0, first.shape[1], first.shape[1])
        means = [arm[generator.integers(0, len(arm), len(arm))].mean(0)[questions].mean() for arm in (first, second)]
        draws[at] = means[1] - means[0]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(second.mean() - first.mean()), float(low), float(high), first.shape[1])


def paired_t_interval(differences: Sequence[float], *, level: float = 0.95) -> Estimate:
    """Mean of paired differences, one per seed, with Student's t interval; needs at least two seeds."""
    mean, error, n = _mean_and_error(differences)
    half = t_quantile((1 + level) / 2, n - 1) * error
    return Estimate(mean, mean - half, mean + half, n)


def one_sided_p(differences: Sequence[float], bound: float = 0.0) -> float:
    """P-value of Student's t-test of mean <= bound against mean > bound; 0 or 1 if all differences are equal."""
    mean, error, n = _mean_and_error(differences)
    if error == 0:
        return float(mean <= bound)
    return 1 - t_probability((mean - bound) / error, n - 1)


def equivalence_p(differences: Sequence[float], margin: float) -> float:
    """P-value of two one-sided t-tests of |mean| >= margin against |mean| < margin (Schuirmann 1987)."""
    if margin <= 0:
        raise ValueError(f"an equivalence margin must be above 0, got {margin}")
    return max(one_sided_p(differences, -margin), one_sided_p([-value for value in differences], -margin))


def _mean_and_error(differences: Sequence[float]) -> tuple[float, float, int]:
    n = len(differences)
    if n < 2:
        raise ValueError(f"an interval over seeds needs at least 2 seeds, got {n}")
    return float(np.mean(differences)), float(np.std(differences, ddof=1)) / math.sqrt(n), n


def t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t for an integer number of degrees of freedom, by bisection on its exact distribution."""
    if not 0 < probability < 1:
        raise ValueError(f"a quantile needs a probability between 0 and 1, got {probability}")
    low, high = -1.0, 1.0
    while t_probability(low, degrees) > probability:
        low *= 2
    while t_probability(high, degrees) < probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_probability(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def t_probability(t: float, degrees: int) -> float:
    """P(T <= t) of Student's t by its finite series for integer degrees (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    if degrees < 1:
        raise ValueError(f"Student's t needs at least 1 degree of freedom, got {degrees}")
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
    """Holm's adjusted p-values, in the order of the arguments (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = worst
    return adjusted


def interquartile_mean(scores: NDArray[np.float64]) -> float:
    """Mean of the middle half of all entries of a runs x tasks matrix (Agarwal et al. 2021, arXiv 2108.13264).

    A quarter of the entries, rounded down, is cut at each end. Pass means: raw 0/1 outcomes give only 0 or 1.
    """
    flat = np.sort(scores, axis=None)
    cut = len(flat) // 4
    return float(flat[cut : len(flat) - cut].mean())


def probability_of_improvement(first: Sequence[float], second: Sequence[float]) -> float:
    """P(a run of the second arm beats a run of the first), ties count half: Mann-Whitney's U over its maximum."""
    a, b = np.asarray(first, np.float64)[:, None], np.asarray(second, np.float64)[None, :]
    return float((b > a).mean() + (b == a).mean() / 2)


def win_tie_loss(differences: NDArray[np.float64]) -> tuple[int, int, int]:
    """Numbers of questions where the second arm is better, equal, worse; NaN is not counted."""
    return int((differences > 0).sum()), int((differences == 0).sum()), int((differences < 0).sum())
