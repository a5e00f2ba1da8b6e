"""Fingerprints of passages: equal texts have equal digests, similar ones share a band. Linear time, 72 bytes each.

A passage is the set of its runs of three words. MinHash (Broder, 1997) keeps the smallest of 24 random orders of that
set; two sets agree in each with the probability of their Jaccard index. Three of them make a band: passages that share
nine tenths of their runs agree in one of eight bands with probability .9999, eight tenths .997, half .66.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["BANDS", "Sketches", "runs_of_words"]

BANDS = 8
_ROWS = 3
_CHUNK = 2048
_PLACES = 64
"""Characters of a word that have a multiplier of their own; longer words reuse them."""

UInt = NDArray[np.uint64]

_DRAWN = np.random.default_rng(20_260_527)
_POWERS: UInt = _DRAWN.integers(1, 2**63, _PLACES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_FACTORS: UInt = _DRAWN.integers(1, 2**63, BANDS * _ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_NEXT, _AFTER, _MIX = (np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xBF58476D1CE4E5B9))


class Sketches:
    """Collects the fingerprints of a stream of normalised passages, row by row."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._bands: list[UInt] = []
        self._digests: list[UInt] = []

    def add(self, text: str) -> None:
        """Adds the next passage; its text is normalised, with single spaces."""
        self._texts.append(text)
        if len(self._texts) == _CHUNK:
            self._flush()

    def finish(self) -> tuple[UInt, UInt]:
        """The digests of the texts, [passages], and their bands, [passages, BANDS]."""
        self._flush()
        if not self._bands:
            return np.zeros(0, np.uint64), np.zeros((0, BANDS), np.uint64)
        return np.concatenate(self._digests), np.concatenate(self._bands)

    def _flush(self) -> None:
        if not self._texts:
            return
        runs, starts = _runs(self._texts)
        digests = np.fromiter((hash(text) & (2**64 - 1) for text in self._texts), np.uint64, len(self._texts))
        self._digests.append(digests)
        smallest = np.empty((len(self._texts), BANDS * _ROWS), np.uint64)
        for at, factor in enumerate(_FACTORS):
            smallest[:, at] = np.minimum.reduceat(_mixed(runs * factor), starts)
        bands = np.zeros((len(self._texts), BANDS), np.uint64)
        for row in range(_ROWS):
            bands = _mixed(bands * _NEXT + smallest[:, row::_ROWS])
        self._bands.append(bands)
        self._texts = []


def runs_of_words(text: str) -> frozenset[int]:
    """The runs of three words of a normalised text; that of a shorter text is all of it."""
    return frozenset(_runs([text])[0].tolist())


def _runs(texts: Sequence[str]) -> tuple[UInt, NDArray[np.int64]]:
    """Hashes of the runs of all texts, one text after another, and where those of each text start."""
    letters = np.frombuffer("\n".join(texts).encode("utf-8", "replace"), np.uint8)
    breaks = np.flatnonzero((letters == 32) | (letters == 10))
    begins = np.concatenate([[0], breaks + 1])  # of words; a text without words has one empty word
    ends = np.concatenate([breaks, [len(letters)]])
    word_of = np.repeat(np.arange(len(begins)), ends - begins + 1)[: len(letters)]
    place = (np.arange(len(letters)) - begins[word_of]) % _PLACES
    values = (letters.astype(np.uint64) + np.uint64(1)) * _POWERS[place]
    values[breaks] = 0
    sums = np.zeros(len(letters) + 1, np.uint64)  # wraps, and so do differences: no digit is lost
    np.cumsum(values, out=sums[1:])
    words = _mixed(sums[ends] - sums[begins])
    text_of = np.cumsum(np.concatenate([[0], letters[breaks] == 10]))
    sizes = np.bincount(text_of, minlength=len(texts))
    counts = np.maximum(1, sizes - 2)
    place_in_text = np.arange(len(words)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = place_in_text < np.repeat(counts, sizes)
    runs = words.copy()
    for step, factor in ((1, _NEXT), (2, _AFTER)):
        later = np.zeros_like(words)
        same = text_of[step:] == text_of[:-step]
        later[: len(words) - step][same] = words[step:][same]
        runs += later * factor
    return _mixed(runs[kept]), np.cumsum(counts) - counts


def _mixed(values: UInt) -> UInt:
    values = (values ^ (values >> np.uint64(31))) * _MIX
    return values ^ (values >> np.uint64(29))
