"""Query entropy, in nats: over tokens inside query spans, over whole queries, over clusters of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cluster_entropy", "discrete_entropy", "query_sequence_spans", "query_token_mask"]


def query_token_mask(char_starts: ArrayLike, text: str, spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which tokens of a turn are part of a query: those whose interval [start, next start) overlaps a query's span.

    Args:
        char_starts: int [T], offset of each token in the turn's text.
        text: the turn, cut after its stop tag.
        spans: [start, end) of each query.

    Returns:
        bool [T]. A token without a character of its own (part of a multi-byte character) counts with that character.
    """
    starts = np.asarray(char_starts, np.int64)
    ends = np.append(starts[1:], len(text))
    empty = ends <= starts
    inside = np.zeros(len(starts), np.bool_)
    for first, last in spans:
        inside |= np.where(empty, (starts >= first) & (starts < last), (starts < last) & (ends > first))
    return inside


def query_sequence_spans(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of whole queries including the text that closes them, so that their probabilities form a distribution.

    Without the closing tag, "who" would be a prefix of "who founded it" and not a separate outcome. If a turn has
    several queries, each span reaches to the next query, and the last one to the end of the turn, after its stop tag.
    """
    ends = [*(first for first, _ in spans[1:]), len(text)]
    return [(first, max(last, end)) for (first, last), end in zip(spans, ends)]


def discrete_entropy(outcomes: Sequence[Hashable], *, miller_madow: bool = False) -> float:
    """Plug-in entropy of the outcomes' empirical distribution, in nats.

    Args:
        outcomes: at least one outcome.
        miller_madow: add (S - 1) / 2n for S distinct outcomes among n, the first-order correction of the plug-in's
            bias (Miller 1955). S counts only outcomes that were seen, so some bias remains.

    Raises:
        ValueError: there is no outcome.
    """
    if not outcomes:
        raise ValueError("the entropy of no outcomes is undefined")
    counts = np.array(list(Counter(outcomes).values()), np.float64)
    n = counts.sum()
    p = counts / n
    plain = abs(float((p * np.log(p)).sum()))
    return plain + (len(counts) - 1) / (2 * float(n)) if miller_madow else plain


def cluster_entropy(items: Sequence[Hashable], clusters: Sequence[Hashable], log_probs: ArrayLike) -> float:
    """Semantic entropy weighted by likelihood: p_c is proportional to the summed probability of its distinct items.

    Args:
        items: samples, e.g. queries; equal items must have equal clusters and log-probabilities.
        clusters: the cluster of each item, e.g. the frozenset of passages it returned.
        log_probs: float [items], nats.

    Returns:
        Entropy in nats over the sampled items (Kuhn et al. 2023, arXiv 2302.09664).
    """
    if not items:
        raise ValueError("the entropy of no items is undefined")
    distinct = {item: (cluster, lp) for item, cluster, lp in zip(items, clusters, np.asarray(log_probs).tolist())}
    top = max(lp for _, lp in distinct.values())
    masses: dict[Hashable, float] = {}
    for cluster, lp in distinct.values():
        masses[cluster] = masses.get(cluster, 0.0) + float(np.exp(lp - top))
    p = np.array([mass for mass in masses.values() if mass]) / sum(masses.values())  # the rest is 0 in floating point
    return abs(float((p * np.log(p)).sum()))
