"""Query entropy: by tokens inside query spans, by whole queries, over clusters of queries. Nats throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["discrete_entropy", "query_token_mask"]


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


def discrete_entropy(outcomes: Sequence[Hashable], *, miller_madow: bool = False) -> float:
    """Plug-in entropy of the outcomes' empirical distribution, nats.

    Args:
        outcomes: at least one.
        miller_madow: add (S - 1) / 2n for S distinct outcomes among n, the first-order correction of the plug-in's
            bias (Miller 1955).
    """
    counts = np.array(list(Counter(outcomes).values()), np.float64)
    n = counts.sum()
    p = counts / n
    plain = float(-(p * np.log(p)).sum())
    return plain + (len(counts) - 1) / (2 * float(n)) if miller_madow else plain
