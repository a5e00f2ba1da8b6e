"""Query entropy: by tokens inside query spans, by whole queries, over clusters of queries. Nats throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cluster_entropy", "discrete_entropy", "query_sequence_spans", "query_token_mask"]


def query_token_mask(char_starts: ArrayLike, text: str, spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which tokens of a turn lie in a query: those whose interval [start, next start) overlaps a query's span.

    Args:
        char_starts: int [T], where each token begins in the turn's text.
        text: the turn, cut after its stop tag.
        spans: [start, end) of each query.

    Returns:
        bool [T]. A token that added no character (part of a multi-byte one) counts with the character it completes.
    """
    starts = np.asarray(char_starts, np.int64)
    ends = np.append(starts[1:], len(text))
    empty = ends <= starts
    inside = np.zeros(len(starts), np.bool_)
    for first, last in spans:
        inside |= np.where(empty, (starts >= first) & (starts < last), (starts < last) & (ends > first))
    return inside


def query_sequence_spans(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that make whole queries: each with what closes it, so that their log-probability says where a query ends.

    Without the closing tag "who" and "who founded it" would be prefixes of one event and no distribution. In a turn of
    several queries each one reaches to the next, the last one to the end of the turn, which is cut after its stop tag.
    """
    ends = [*(first for first, _ in spans[1:]), len(text)]
    return [(first, max(last, end)) for (first, last), end in zip(spans, ends)]


def discrete_entropy(outcomes: Sequence[Hashable], *, miller_madow: bool = False) -> float:
    """Plug-in entropy of the outcomes' empirical distribution, nats.

    Args:
        outcomes: at least one.
        miller_madow: add (S - 1) / 2n for S distinct outcomes among n, the first-order correction of the plug-in's
            bias (Miller 1955). S counts outcomes that were seen, so some bias stays while outcomes are unseen.

    Raises:
        ValueError: no outcome.
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
        items: what was drawn, e.g. queries; the same item has the same cluster and log-probability.
        clusters: the class of each, e.g. the frozenset of passages it brought back.
        log_probs: float [items], nats.

    Returns:
        Nats (Kuhn et al. 2023, arXiv 2302.09664, over the sampled support).
    """
    if not items:
        raise ValueError("the entropy of no items is undefined")
    distinct = {item: (cluster, lp) for item, cluster, lp in zip(items, clusters, np.asarray(log_probs).tolist())}
    top = max(lp for _, lp in distinct.values())
    masses: dict[Hashable, float] = {}
    for cluster, lp in distinct.values():
        masses[cluster] = masses.get(cluster, 0.0) + float(np.exp(lp - top))
    p = np.array(list(masses.values())) / sum(masses.values())
    return abs(float((p * np.log(p)).sum()))
