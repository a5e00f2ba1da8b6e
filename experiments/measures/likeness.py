"""How alike what arms wrote is, within an arm and between two, and above the floor of different questions.

A rollout's text is its queries and its answer, which all turn formats have. Its vector comes from an encoder; the
similarity of two rollouts is the cosine. Within an arm all pairs of rollouts of a question count, between arms all
pairs of a rollout of each, as in Artificial Hivemind (arXiv 2510.22954). The floor is the same of rollouts of different
questions: what the encoder and habits make alike whatever is asked. Alone, no cosine means much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ...envs.answers import normalize
from ...envs.metrics.statistics import bootstrap_means
from .rollout import Rollout
from .rows import LikenessRow, estimate_row

__all__ = ["MOST_QUESTIONS", "MOST_SAMPLES", "likeness", "rollout_text", "word_vectors"]

Array = NDArray[np.float64]

HIGH = 0.8
"""The paper counts prompts whose mean is above it."""

MOST_QUESTIONS, MOST_SAMPLES = 64, 8
"""Questions that are compared, chosen by a hash of their ids and so the same for all arms, and rollouts of each."""


def rollout_text(rollout: Rollout) -> str:
    """The queries and the answer, normalized as answers are; empty for a rollout without either."""
    said = [*rollout.queries, rollout.answer_norm or ""]
    return " ".join(filter(None, map(normalize, said)))


def word_vectors(texts: Sequence[str]) -> Array:
    """How often each word occurs, weighted by the logarithm of its rarity among the texts (TF-IDF), of length 1.

    Args:
        texts: at least one. One without words, or with none but words that all texts have, is a vector of zeros.
    """
    words = [text.split() for text in texts]
    at = {word: place for place, word in enumerate(sorted({word for text in words for word in text}))}
    counts = np.zeros((len(texts), len(at)))
    for row, text in enumerate(words):
        for word in text:
            counts[row, at[word]] += 1
    rarity = np.log((1 + len(texts)) / (1 + (counts > 0).sum(0))) + 1
    vectors = counts * rarity
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    out: Array = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return out


def likeness(
    arms: Mapping[str, Sequence[Rollout]], encode: Callable[[Sequence[str]], Array] = word_vectors
) -> dict[str, LikenessRow]:
    """Similarity within every arm and between every two, over the questions that all arms answered.

    Args:
        arms: name -> rollouts.
        encode: texts to vectors, [texts, places], of length 1 or 0; called once with all of them. Rollouts without
            text are left out.

    Returns:
        "A" for an arm and "A | B" for two; an arm with one rollout of each question has no similarity within. Empty
        with fewer than two questions, which have no floor.
    """
    texts: dict[str, dict[str, list[str]]] = {}
    for name, rollouts in arms.items():
        own = texts.setdefault(name, {})
        for rollout in rollouts:
            if (text := rollout_text(rollout)) and len(own.setdefault(rollout.question.id, [])) < MOST_SAMPLES:
                own[rollout.question.id].append(text)
    shared = set.intersection(*(set(own) for own in texts.values())) if texts else set()
    chosen = sorted(shared, key=lambda name: (sha256(name.encode()).hexdigest(), name))[:MOST_QUESTIONS]
    if len(chosen) < 2:
        return {}
    vectors = encode([text for own in texts.values() for question in chosen for text in own[question]])
    sizes = np.array([[len(own[question]) for question in chosen] for own in texts.values()])
    starts = np.concatenate([[0], np.cumsum(sizes.reshape(-1))[:-1]])
    shape = (len(texts), len(chosen), -1)
    sums = np.add.reduceat(vectors, starts, axis=0).reshape(shape)  # [arms, questions, places]
    squares = np.add.reduceat((vectors**2).sum(1), starts).reshape(shape[:2])
    names = list(texts)
    pairs = [*((at, at) for at in range(len(names))), *combinations(range(len(names)), 2)]
    return {
        names[i] if i == j else f"{names[i]} | {names[j]}": _row(
            sums[i] / sizes[i][:, None], sums[j] / sizes[j][:, None], sizes[i], squares[i] if i == j else None
        )
        for i, j in pairs
    }


def _row(first: Array, second: Array, sizes: NDArray[np.int64], squares: Array | None) -> LikenessRow:
    """Estimates over questions.

    Args:
        first: mean vectors of an arm, [questions, places].
        second: of the other arm.
        sizes: rollouts of each question.
        squares: where both are one arm, the sum of the squared lengths of a question's vectors, which pairs leave out.
    """
    alike = (first * second).sum(1)
    floor = (first @ second.sum(0) - alike) / (len(alike) - 1)
    if squares is not None:
        pairs = sizes * (sizes - 1)
        alike = np.divide(alike * sizes**2 - squares, pairs, out=np.full(len(alike), np.nan), where=pairs > 0)
    high = np.where(np.isnan(alike), np.nan, alike > HIGH)
    columns = {"alike": alike, "floor": floor, "above_floor": alike - floor, "high": high}
    found = bootstrap_means({name: column for name, column in columns.items() if not np.isnan(column).all()})
    row: LikenessRow = {"questions": len(alike), "floor": estimate_row(found["floor"])}
    if "alike" in found:
        row |= {
            "alike": estimate_row(found["alike"]),
            "above_floor": estimate_row(found["above_floor"]),
            "high": estimate_row(found["high"]),
        }
    return row
