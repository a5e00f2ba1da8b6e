"""How alike what arms wrote is, within an arm and between two, and above the floor of different questions.

A rollout's text is its queries and its answer, which all turn formats have. Its vector comes from an encoder; the
similarity of two rollouts is the cosine. Within an arm all pairs of rollouts of a question count. Between arms all
pairs of a rollout of each count, as in Artificial Hivemind (arXiv 2510.22954), but for those of one sample number:
runs of one seed share their random numbers rollout by rollout, which alone makes such a pair alike. The floor is the
same of rollouts of different questions: what the encoder and habits make alike whatever is asked. Alone, no cosine
means much.
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
        texts: at least one; a text without words is a vector of zeros.

    Returns:
        float64 [texts, different words]. Rarity is that among these texts, so that vectors of two calls do not
        compare.
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
        "A" for an arm and "A | B" for two; an arm with one rollout of each question has no similarity within. Where
        both arms have one, theirs is that of a pair of one sample number. Empty with fewer than two questions, which
        have no floor.
    """
    said: dict[str, dict[str, list[tuple[int, str]]]] = {}
    for name, rollouts in arms.items():
        own = said.setdefault(name, {})
        for rollout in rollouts:
            if (text := rollout_text(rollout)) and len(own.setdefault(rollout.question.id, [])) < MOST_SAMPLES:
                own[rollout.question.id].append((rollout.sample_index, text))
    shared = set.intersection(*(set(own) for own in said.values())) if said else set()
    chosen = sorted(shared, key=lambda name: (sha256(name.encode()).hexdigest(), name))[:MOST_QUESTIONS]
    if len(chosen) < 2:
        return {}
    vectors = encode([text for own in said.values() for question in chosen for _, text in own[question]])
    sizes = [len(own[question]) for own in said.values() for question in chosen]
    parts = iter(np.split(vectors, np.cumsum(sizes)[:-1]))
    groups = {
        name: [(np.array([sample for sample, _ in own[question]]), next(parts)) for question in chosen]
        for name, own in said.items()
    }
    within = {name: _row(own, own, one_arm=True) for name, own in groups.items()}
    return within | {f"{a} | {b}": _row(groups[a], groups[b], one_arm=False) for a, b in combinations(groups, 2)}


Group = tuple[NDArray[np.int64], Array]
"""Rollouts of one question: sample numbers [rollouts] and vectors [rollouts, places]."""


def _row(first: Sequence[Group], second: Sequence[Group], *, one_arm: bool) -> LikenessRow:
    """Estimates over questions.

    Args:
        first: an arm's rollouts of each question.
        second: the other arm's of the same questions.
        one_arm: whether both are one arm.
    """
    alike = np.array([_of_pairs(one, other, one_arm) for one, other in zip(first, second, strict=True)])
    means = [np.stack([vectors.mean(0) for _, vectors in arm]) for arm in (first, second)]
    table = means[0] @ means[1].T  # [questions, questions]
    others = (table.sum(1) + table.sum(0) - 2 * table.diagonal()) / (len(table) - 1)
    # Each pair of questions is in the mean twice. So a question moves it by its row and its column: the mean of these
    # values is the floor, and they spread as a mean of so many questions does, not half as far.
    floor = others - others.mean() / 2
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


def _of_pairs(first: Group, second: Group, one_arm: bool) -> float:
    """Mean similarity of two rollouts of a question; NaN for an arm that has one."""
    products = first[1] @ second[1].T
    if one_arm:
        apart = ~np.eye(len(products), dtype=np.bool_)
    else:
        apart = first[0][:, None] != second[0]
        if not apart.any():  # a rollout each: there is no other pair
            apart = ~apart
    return float(products[apart].mean()) if apart.any() else float("nan")
