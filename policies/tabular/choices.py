"""Choices of a table: a softmax over them in each state, draws from it, and counts of what was drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["choice_probabilities", "count_choices", "draw_choices"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def choice_probabilities(logits: Array, allowed: NDArray[np.bool_] | None = None, temperature: float = 1.0) -> Array:
    """Softmax over the last axis, 0 for what is not allowed; zeros where nothing is."""
    masked = logits if allowed is None else np.where(allowed, logits, -np.inf)
    top = masked.max(-1, keepdims=True)
    weights = np.exp((masked - np.where(np.isfinite(top), top, 0.0)) / temperature)
    total = weights.sum(-1, keepdims=True)
    out: Array = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return out


def draw_choices(edges: Array, draws: Array) -> Ints:
    """The choice that each draw falls on, int64 [rows]; the last one in a row of zeros.

    Args:
        edges: float64 [rows, choices], sums of the chances up to each choice. The last may fall short of 1 by rounding:
            a draw is scaled by it, and so never falls on a choice of chance 0.
        draws: float64 [rows], in [0, 1).
    """
    out: Ints = np.minimum((draws[:, None] * edges[:, -1:] >= edges).sum(1), edges.shape[1] - 1)
    return out


def count_choices(shape: tuple[int, ...], places: tuple[Ints, ...]) -> Array:
    """How often each place of a table of this shape occurs, float64; `places` has an array of indices for each axis."""
    counts = np.zeros(shape)
    np.add.at(counts, places, 1.0)
    return counts
