"""Exact and near duplicates among passages, from their fingerprints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .sketches import UInt, runs_of_words

__all__ = ["NEAR", "Candidates", "Duplicates", "candidates", "confirmed"]

NEAR = 0.8
"""Two passages are near duplicates if they share this part of all their runs of three words (Jaccard index)."""

MOST_ROWS = 200_000
"""Passages whose text is held in memory to compare them exactly; with more, near duplicates are counted in part."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What fingerprints say.

    Attributes:
        exact: (earlier row, row) of passages with the words of an earlier one.
        pairs: int64 [pairs, 2], rows that share a band, the earlier first; none of them is an exact duplicate.
        whole: whether `pairs` holds all of them.
    """

    exact: list[tuple[int, int]]
    pairs: NDArray[np.int64]
    whole: bool

    @property
    def rows(self) -> frozenset[int]:
        """The rows whose texts decide about the pairs."""
        return frozenset(np.unique(self.pairs).tolist())


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Duplicates by the ids of passages.

    Attributes:
        exact: (id of the first, id of the duplicate).
        near: (id of the first, id of the near duplicate, Jaccard index); each duplicate once.
        whole: whether `near` holds all that the fingerprints found.
    """

    exact: list[tuple[str, str]]
    near: list[tuple[str, str, float]]
    whole: bool = True


def candidates(digests: UInt, bands: UInt) -> Candidates:
    """Finds rows that may be duplicates. Each row meets the one before it in its band and the first one there."""
    firsts, inverse = np.unique(digests, return_index=True, return_inverse=True)[1:]
    first = firsts[inverse]  # the earliest row of equal text
    rows = np.arange(len(digests))
    exact = [(int(first[row]), int(row)) for row in np.flatnonzero(first != rows)]
    single = np.flatnonzero(first == rows)
    found: list[NDArray[np.int64]] = []
    for band in bands[single].T:
        order = np.argsort(band, kind="stable")
        key, row = band[order], single[order]
        again = np.flatnonzero(key[1:] == key[:-1]) + 1
        if not len(again):
            continue
        begins = np.maximum.accumulate(np.where(np.concatenate([[True], key[1:] != key[:-1]]), np.arange(len(key)), 0))
        for earlier in (row[again - 1], row[begins[again]]):
            found.append(np.stack([earlier, row[again]], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0) if found else np.zeros((0, 2), np.int64)
    whole = len(np.unique(pairs)) <= MOST_ROWS
    if not whole:
        pairs = pairs[(pairs < np.unique(pairs)[MOST_ROWS]).all(1)]
    return Candidates(exact, pairs, whole)


def confirmed(found: Candidates, texts: dict[int, str], ids: dict[int, str]) -> Duplicates:
    """Compares the candidates exactly.

    Args:
        found: what fingerprints say.
        texts: normalised texts of `found.rows`.
        ids: ids of those rows and of the exact duplicates.
    """
    near: dict[int, tuple[int, float]] = {}
    row, runs = -1, frozenset[int]()
    for first, second in sorted(map(tuple, found.pairs.tolist()), key=lambda pair: (pair[1], pair[0])):
        if second in near:
            continue
        if second != row:
            row, runs = second, runs_of_words(texts[second])
        share = _jaccard(runs, runs_of_words(texts[first]))
        if share >= NEAR:
            near[second] = first, share
    return Duplicates(
        [(ids[first], ids[second]) for first, second in found.exact],
        [(ids[first], ids[second], round(share, 3)) for second, (first, share) in sorted(near.items())],
        found.whole,
    )


def _jaccard(one: Iterable[int], other: Iterable[int]) -> float:
    one, other = frozenset(one), frozenset(other)
    return len(one & other) / len(one | other)
