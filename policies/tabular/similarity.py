"""How alike are two episodes? Exact mean similarities within a policy and between two, and sampled ones beside them.

An encoder turns an episode into a vector of length 1, and two episodes are as similar as the cosine of their vectors.
So the expected similarity of two episodes of one question is the inner product of two mean vectors: of a policy with
itself (*intra*) or with another (*inter*), and nothing is drawn. Encoders:

* "records": which records it asked for, one place for each hop and kind. Records of different questions differ, so that
  the floor of mismatched questions is 0;
* "words": how often its queries have each word, as "ledger founder Tamon" has the words of a kind, a relation and an
  entity. Queries of different questions share words of kinds, and relations where they happen to be the same;
* "orders": the order of kinds; two episodes are alike only if it is the same, whatever the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...envs.world.closed_voice import RELATIONS
from .choices import count_choices
from .kinds import KindWorld
from .outcomes import Episodes

__all__ = ["ENCODERS", "Encoded", "Encoder", "encode", "sampled_similarity", "truncated"]

Array = NDArray[np.float64]

Encoder = Literal["records", "words", "orders"]
ENCODERS: tuple[Encoder, ...] = ("records", "words", "orders")

SAME_RELATION = 1 / len(RELATIONS[0])
"""Chance that two questions have the same relation at a hop."""


@dataclass(frozen=True)
class Encoded:
    """All episodes of each question of a World as vectors.

    Attributes:
        vectors: float64 [questions, episodes, places], of length 1.
        shared: float64 [places], chance that two questions have a place in common: 1 for a word that both know.
        weights: float64 [questions], share of each question.
    """

    vectors: Array
    shared: Array
    weights: Array

    def mean_vectors(self, chances: Array) -> Array:
        """Mean vectors of a policy's episodes, float64 [questions, places].

        Args:
            chances: float64 [questions, episodes], of the policy, see `Outcomes`.
        """
        out: Array = np.einsum("qe,qep->qp", chances, self.vectors)
        return out

    def similarity(self, first: Array, second: Array) -> float:
        """Expected similarity of an episode of each policy on the same question.

        Args:
            first: from `mean_vectors`.
            second: of the other policy, or the same again for the similarity within it.
        """
        return float(self.weights @ (first * second).sum(1))

    def floor(self, first: Array, second: Array) -> float:
        """The same of two episodes whose questions were drawn independently: mismatched questions."""
        return float((self.weights @ first) @ (self.shared * (self.weights @ second)))

    def above(self, mean: Array, least: float) -> float:
        """Share of the questions on which the similarity within a policy is above `least`."""
        return float(self.weights @ ((mean * mean).sum(1) > least))


def encode(world: KindWorld, weights: Array, episodes: Episodes) -> dict[Encoder, Encoded]:
    """The episodes of a World's questions under every encoder.

    Args:
        world: the questions.
        weights: float64 [questions], share of each question.
        episodes: all that can be played, from `list_episodes(world)`.
    """
    _, hops, kinds = world.present.shape
    played = episodes.played
    searched = (np.nonzero(played.live)[0], played.hops[played.live], played.kinds[played.live])
    asked = count_choices((len(played.live), hops, kinds), searched)
    at_hop = asked.sum(2)
    codes = np.where(played.live, played.kinds + 1, 0) @ (kinds + 1) ** np.arange(played.live.shape[1])
    found, place = np.unique(codes, return_inverse=True)
    counts: dict[Encoder, tuple[Array, Array]] = {
        "records": (asked.reshape(len(asked), -1), np.zeros(hops * kinds)),
        "words": (
            np.concatenate([asked.sum(1), at_hop, at_hop], 1),
            np.repeat([1.0, SAME_RELATION, 0.0], [kinds, hops, hops]),
        ),
        "orders": (np.eye(len(found))[place.reshape(-1)], np.ones(len(found))),
    }
    return {
        name: Encoded((rows / np.linalg.norm(rows, axis=1)[:, None]).reshape(*episodes.size, -1), shared, weights)
        for name, (rows, shared) in counts.items()
    }


def sampled_similarity(encoded: Encoded, chances: Array, *, questions: int, samples: int, seed: int) -> float:
    """Mean similarity within a policy from drawn episodes, over all pairs of a question: an estimate of the exact one.

    Args:
        encoded: the questions and their episodes.
        chances: float64 [questions, episodes], of the policy.
        questions: number of questions that are drawn.
        samples: episodes of each, at least 2.
        seed: of the draws.
    """
    generator = np.random.default_rng((seed, 23))
    drawn = generator.choice(len(encoded.weights), questions, p=encoded.weights / encoded.weights.sum())
    counts = np.stack([generator.multinomial(samples, chances[at] / chances[at].sum()) for at in drawn])
    totals = np.einsum("qe,qep->qp", counts.astype(np.float64), encoded.vectors[drawn])
    pairs = ((totals * totals).sum(1) - samples) / (samples * (samples - 1))
    return float(pairs.mean())


def truncated(probabilities: Array, *, top_p: float = 1.0, min_p: float = 0.0) -> Array:
    """Probabilities of kinds as a truncating sampler draws them, same shape.

    Args:
        probabilities: from `kind_probabilities`, at the temperature of sampling.
        top_p: keeps the likeliest kinds whose predecessors have less than this mass; of equal ones, those named first.
        min_p: keeps kinds with at least this share of the likeliest one's probability.
    """
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, -1)
    kept = np.empty_like(probabilities, np.bool_)
    np.put_along_axis(kept, order, ranked.cumsum(-1) - ranked < top_p, -1)
    kept &= probabilities >= min_p * probabilities.max(-1, keepdims=True)
    weights = np.where(kept, probabilities, 0.0)
    total = weights.sum(-1, keepdims=True)
    out: Array = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return out
