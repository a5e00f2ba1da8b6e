"""Similarity of items: Vendi score, cosines and their floor, n-grams, reward vectors. Embeddings come from outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "cosine_floor",
    "expectation_adjusted_distinct",
    "inter_cosine",
    "mean_cosine",
    "reward_space_diversity",
    "vendi_score",
]


def vendi_score(kernel: ArrayLike) -> float:
    """exp of the von Neumann entropy of K / n: the effective number of different items (arXiv 2210.02410).

    Args:
        kernel: float [n, n], symmetric and positive semi-definite, with ones on the diagonal.

    Raises:
        ValueError: the matrix is not such a kernel.
    """
    matrix = np.asarray(kernel, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(f"a kernel is a square matrix of at least one item, got shape {matrix.shape}")
    if not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1.0):
        raise ValueError("a kernel is symmetric with ones on its diagonal; normalise the embeddings first")
    eigenvalues = np.linalg.eigvalsh(matrix / len(matrix))
    if eigenvalues[0] < -1e-6:
        raise ValueError(f"the kernel is not positive semi-definite: its smallest eigenvalue is {eigenvalues[0]:.3g}")
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def mean_cosine(embeddings: ArrayLike) -> float:
    """Mean cosine over unordered pairs of one prompt's samples (Artificial Hivemind's intra, arXiv 2510.22954).

    Report it together with `cosine_floor` of the same encoder; alone it means little.

    Args:
        embeddings: float [n, d], at least two rows, of any length.
    """
    unit = _unit(embeddings)
    n = len(unit)
    if n < 2:
        raise ValueError(f"a mean over pairs needs at least 2 items, got {n}")
    total = unit.sum(0)
    return float((total @ total - n) / (n * (n - 1)))


def inter_cosine(first: ArrayLike, second: ArrayLike) -> float:
    """Mean cosine over all pairs of one policy's and another's samples of a prompt: float [n, d] and [m, d]."""
    return float(_unit(first).mean(0) @ _unit(second).mean(0))


def cosine_floor(groups: Sequence[ArrayLike]) -> float:
    """Mean cosine of samples of different prompts, which is the cosine of unrelated texts under this encoder.

    Args:
        groups: float [n_i, d] for each prompt, at least two; all pairs of prompts have equal weight.
    """
    if len(groups) < 2:
        raise ValueError(f"a floor from mismatched prompts needs at least 2 prompts, got {len(groups)}")
    means = np.stack([_unit(group).mean(0) for group in groups])
    total, n = means.sum(0), len(means)
    return float((total @ total - (means * means).sum()) / (n * (n - 1)))


def _unit(embeddings: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(embeddings, np.float64)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    if not len(rows) or (norms == 0).any():
        raise ValueError("cosines need at least one embedding, none of length 0")
    out: NDArray[np.float64] = rows / norms
    return out


def expectation_adjusted_distinct(
    texts: Sequence[Sequence[str]], vocabulary_size: int, orders: Sequence[int] = (1, 2, 3, 4, 5)
) -> float | None:
    """EAD: distinct n-grams divided by their expected number under uniform draws, averaged over n (arXiv 2202.13587).

    It is N / (V (1 - ((V - 1) / V)^C)) for N distinct among C n-grams. Unlike distinct-n it does not fall with length.

    Args:
        texts: tokens of each text.
        vocabulary_size: V, equal for all arms that are compared.
        orders: the values of n; those without any n-gram are left out.
    """
    if vocabulary_size < 2:
        raise ValueError(f"a vocabulary needs at least 2 words, got {vocabulary_size}")
    values = []
    for n in orders:
        grams = [tuple(text[at : at + n]) for text in texts for at in range(len(text) - n + 1)]
        if grams:
            expected = vocabulary_size * -np.expm1(len(grams) * np.log1p(-1 / vocabulary_size))
            values.append(len(set(grams)) / expected)
    return float(np.mean(values)) if values else None


def reward_space_diversity(vectors: ArrayLike) -> float:
    """Mean pairwise L1 distance of a group's reward vectors, float [n, d], n at least 2 (VPO, arXiv 2605.22817)."""
    rows = np.asarray(vectors, np.float64)
    if len(rows) < 2:
        raise ValueError(f"a mean over pairs needs at least 2 vectors, got {len(rows)}")
    total = np.abs(rows[:, None] - rows[None]).sum()  # over all ordered pairs and all dimensions
    return float(total / (len(rows) * (len(rows) - 1)))
