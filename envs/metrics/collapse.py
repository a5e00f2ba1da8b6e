"""Signs of collapse: decay of visits over ranks, the dominant format, diversity of valid outputs, hard questions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .entropy import discrete_entropy

__all__ = [
    "EffectiveDiversity",
    "FormatShares",
    "RankDecay",
    "cross_agent_nll",
    "effective_diversity",
    "format_shares",
    "hardest_quartile_share",
    "rank_decay",
    "smallest_cap",
    "subsample_visits",
]


@dataclass(frozen=True, slots=True)
class RankDecay:
    """Fit of log10 visits = alpha - beta rank (arXiv 2509.21128).

    Attributes:
        beta: decay per rank, in decades.
        alpha: intercept.
        r_squared: R^2 of the fit; NaN if all visits are equal.
        num_ranks: number of ranks with visits, all of which are fitted.
        total_visits: sum of visits. beta falls as it grows, so compare arms at equal totals (`subsample_visits`).
    """

    beta: float
    alpha: float
    r_squared: float
    num_ranks: int
    total_visits: float


def rank_decay(visits: ArrayLike) -> RankDecay:
    """Fits the decay of visits over ranks by least squares.

    Args:
        visits: float [nodes], in any order. Nodes without visits are left out; at least two must have visits.
    """
    x = np.sort(np.asarray(visits, np.float64))[::-1]
    x = x[x > 0]
    if len(x) < 2:
        raise ValueError(f"a decay needs at least 2 visited nodes, got {len(x)}")
    ranks, logs = np.arange(1, len(x) + 1, dtype=np.float64), np.log10(x)
    centred = ranks - ranks.mean()
    slope = float(centred @ (logs - logs.mean()) / (centred @ centred))
    intercept = float(logs.mean() - slope * ranks.mean())
    spread = float(((logs - logs.mean()) ** 2).sum())
    rest = float(((logs - intercept - slope * ranks) ** 2).sum())
    return RankDecay(-slope, intercept, 1 - rest / spread if spread else math.nan, len(x), float(x.sum()))


def subsample_visits(visits: ArrayLike, total: int, seed: int) -> NDArray[np.int64]:
    """`total` of the visits, drawn without replacement: int64 [nodes]."""
    counts = np.asarray(visits, np.int64)
    if not 0 <= total <= counts.sum():
        raise ValueError(f"cannot draw {total} of {counts.sum()} visits")
    return np.random.default_rng(seed).multivariate_hypergeometric(counts, total)


@dataclass(frozen=True, slots=True)
class FormatShares:
    """The distribution of labels over outputs.

    Attributes:
        shares: label -> share of all outputs.
        dominant: the label with the largest share; the first by name if several have it.
        entropy: entropy of the shares, in nats.
        accuracy: label -> share of its outputs that are right.
    """

    shares: Mapping[str, float]
    dominant: str
    entropy: float
    accuracy: Mapping[str, float]


def format_shares(labels: Sequence[str], correct: Sequence[bool]) -> FormatShares:
    """Shares of labels, their entropy, and the accuracy of each label; needs at least one output."""
    counts = Counter(labels)
    right = Counter(label for label, ok in zip(labels, correct, strict=True) if ok)
    return FormatShares(
        shares={label: counts[label] / len(labels) for label in sorted(counts)},
        dominant=min(counts, key=lambda label: (-counts[label], label)),
        entropy=discrete_entropy(labels),
        accuracy={label: right[label] / counts[label] for label in sorted(counts)},
    )


@dataclass(frozen=True, slots=True)
class EffectiveDiversity:
    """Diversity and quality of a group's outputs (arXiv 2504.12522).

    Attributes:
        fixed_budget: distinct meanings among valid outputs / all outputs.
        pairwise: share of pairs that are both valid and differ in meaning; NaN with one output.
        quality: valid outputs / all outputs.
        given_quality: distinct meanings among valid outputs / valid outputs; NaN if no output is valid, never 0.
    """

    fixed_budget: float
    pairwise: float
    quality: float
    given_quality: float


def effective_diversity(valid: Sequence[bool], meanings: Sequence[Hashable]) -> EffectiveDiversity:
    """Diversity of the valid outputs of a group.

    Args:
        valid: whether each output is valid, e.g. an exact match.
        meanings: the meaning of each output, e.g. its evidence path; those of invalid outputs are ignored.
    """
    valid_meanings = [meaning for ok, meaning in zip(valid, meanings, strict=True) if ok]
    n, num_valid, distinct = len(valid), len(valid_meanings), len(set(valid_meanings))
    if not n:
        raise ValueError("the diversity of no outputs is undefined")
    same = sum(math.comb(count, 2) for count in Counter(valid_meanings).values())
    return EffectiveDiversity(
        fixed_budget=distinct / n,
        pairwise=(math.comb(num_valid, 2) - same) / math.comb(n, 2) if n > 1 else math.nan,
        quality=num_valid / n,
        given_quality=distinct / num_valid if num_valid else math.nan,
    )


def hardest_quartile_share(accepted: Sequence[str], difficulty: Mapping[str, float]) -> float | None:
    """Share of accepted training items whose question is in the hardest quartile; 0.25 is neutral (arXiv 2411.16579).

    Args:
        accepted: question id of each accepted item.
        difficulty: question id -> e.g. 1 - success of the base policy, computed once; ties are ordered by id.
    """
    hardest = sorted(difficulty, key=lambda question: (-difficulty[question], question))[: len(difficulty) // 4]
    unknown = set(accepted) - set(difficulty)
    if unknown:
        raise ValueError(f"no difficulty is known for question {min(unknown)!r}")
    return sum(question in set(hardest) for question in accepted) / len(accepted) if accepted else None


def cross_agent_nll(log_probs: ArrayLike, lengths: ArrayLike) -> float:
    """Mean of -log p_j(y_i) / |y_i| over pairs i != j, in nats per token (arXiv 2501.05707).

    Args:
        log_probs: float [agents, agents], entry [j, i] is agent j's log-probability of agent i's output.
        lengths: int [agents], number of tokens of each output.
    """
    matrix = -np.asarray(log_probs, np.float64) / np.asarray(lengths, np.float64)[None, :]
    n = len(matrix)
    if n < 2:
        raise ValueError(f"pairs of agents need at least 2 agents, got {n}")
    return float((matrix.sum() - np.trace(matrix)) / (n * (n - 1)))


def smallest_cap(values: Mapping[int, float], tolerance: float) -> int:
    """T*: the smallest tool cap whose pass@(k,T) is within `tolerance` of the largest cap's (arXiv 2604.14877).

    Args:
        values: cap T -> pass@k of episodes that were played under this cap, not cut afterwards.
        tolerance: in the unit of the values.
    """
    plateau = values[max(values)]
    return min(cap for cap, value in values.items() if value >= plateau - tolerance)
