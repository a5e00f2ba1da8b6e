"""World only: the success of an episode's choice of kinds, separated from giving up and from execution errors.

The queries of an episode name record kinds in some order. A perfect reader replays this order: it applies each named
kind to its current hop, moves to the next hop at a hit, and wastes budget on a repeated kind.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..world import closed_voice
from ..world.facts import WorldFacts
from .entropy import discrete_entropy

__all__ = [
    "KindInformation",
    "PlanReplay",
    "conditional_kind_entropy",
    "kind_information",
    "kind_information_draws",
    "plan_pass_at_k",
    "replay",
]


@dataclass(frozen=True, slots=True)
class PlanReplay:
    """The replay of one episode.

    Attributes:
        plan: probability that the perfect reader succeeds. If the episode stopped with budget left, the reader
            continues with untried kinds in uniformly random order.
        made: 1 if the perfect reader succeeds with only the queries of the episode, else 0.
        gave_up: whether the episode answered although a hop was not found, and budget and an untried kind were left.
        executed: for each query, whether its top passage is about the fact that the reader needed.
        first_kinds: for each hop reached, the kind tried first.
        new_after_miss: for each query after a miss at the same hop, if an untried kind was left, whether it named one.
    """

    plan: float
    made: float
    gave_up: bool
    executed: tuple[bool, ...]
    first_kinds: tuple[int, ...]
    new_after_miss: tuple[bool, ...]


def replay(
    world: WorldFacts, queries: Sequence[str], top_ids: Sequence[str | None], *, answered: bool = True
) -> PlanReplay:
    """Replays an episode.

    A query that names no kind, or several, matches several records equally well. It counts as the kind whose record has
    the smallest passage id, because every searcher breaks ties by id.

    Args:
        world: the facts of its question, `WorldFacts.of(question)`.
        queries: the searched queries, in order.
        top_ids: for each query, the id of its top passage; None without a hit.
        answered: whether the episode ended with an answer; an episode that ran out of turns did not give up.
    """
    present, ids, hops, budget = world.present, world.passages, world.hops, world.budget
    hop, tried = 0, set[int]()
    executed, first_kinds, new_after_miss = [], list[int](), []
    for query, top in zip(queries, top_ids, strict=True):
        if hop == hops:
            executed.append(False)
            continue
        executed.append(top in ids[hop])
        kind = _named_kind(query, world.kinds, ids[hop])
        if not tried:
            first_kinds.append(kind)
        elif len(tried) < len(world.kinds):
            new_after_miss.append(kind not in tried)
        tried.add(kind)
        if kind in present[hop]:
            hop, tried = hop + 1, set()
    left = max(0, budget - len(queries))
    return PlanReplay(
        plan=1.0 if hop == hops else _uniform_rest(world, hop, tried, left),
        made=float(hop == hops),
        gave_up=answered and hop < hops and left > 0 and len(tried) < len(world.kinds),
        executed=tuple(executed),
        first_kinds=tuple(first_kinds),
        new_after_miss=tuple(new_after_miss),
    )


def _named_kind(query: str, kinds: Sequence[str], ids: Sequence[str]) -> int:
    named = [kinds.index(kind) for kind in closed_voice.parse_query(query).kinds if kind in kinds]
    return min(named or range(len(kinds)), key=lambda kind: ids[kind]) if len(named) != 1 else named[0]


def _uniform_rest(world: WorldFacts, hop: int, tried: set[int], left: int) -> float:
    """Probability to finish within `left` queries, trying untried kinds, and all kinds of later hops, at random."""
    total = np.array([1.0])
    for at in range(hop, world.hops):
        open_kinds = set(range(len(world.kinds))) - (tried if at == hop else set())
        total = np.convolve(total, _uniform_first_hit(len(open_kinds), len(open_kinds & world.present[at])))
    return float(total[: left + 1].sum())


def _uniform_first_hit(num_open: int, num_present: int) -> NDArray[np.float64]:
    """[j] -> probability that the first hit is query j of a random order: C(n - j, s - 1) / C(n, s); 0 if s = 0."""
    out = np.zeros(num_open + 1)
    if num_present:
        for j in range(1, num_open + 1):
            out[j] = math.comb(num_open - j, num_present - 1) / math.comb(num_open, num_present)
    return out


def plan_pass_at_k(plans: Sequence[float], k: int) -> float:
    """Unbiased pass@k of a group whose episodes succeed independently with known probabilities p.

    It is 1 minus the mean of prod(1 - p) over all k-subsets, computed by elementary symmetric polynomials. If every p
    is 0 or 1, it is the usual estimator 1 - C(n - c, k) / C(n, k).

    Args:
        plans: [n] probabilities.
        k: at most n.
    """
    n = len(plans)
    if not 1 <= k <= n:
        raise ValueError(f"k must lie between 1 and the {n} samples, got {k}")
    symmetric = [1.0] + [0.0] * k
    for plan in plans:
        for size in range(k, 0, -1):
            symmetric[size] += (1 - plan) * symmetric[size - 1]
    return 1 - symmetric[k] / math.comb(n, k)


def conditional_kind_entropy(first_kinds: Sequence[Sequence[int]], *, miller_madow: bool = False) -> float | None:
    """H(first kind | question, hop) of one question, in nats. Hops that fewer than two rollouts reached are left out.

    Each hop is weighted by the number of rollouts that reached it.

    Args:
        first_kinds: for each rollout, the first kind of each hop it reached.
        miller_madow: correct the plug-in's bias of about (K - 1) / 2n.
    """
    hops = [kinds for kinds in _by_hop(first_kinds) if len(kinds) > 1]
    total = sum(map(len, hops))
    if not total:
        return None
    return sum(len(kinds) * discrete_entropy(kinds, miller_madow=miller_madow) for kinds in hops) / total


def _by_hop(first_kinds: Sequence[Sequence[int]]) -> list[list[int]]:
    return [[kind for kind in hop if kind is not None] for hop in itertools.zip_longest(*first_kinds)]


@dataclass(frozen=True, slots=True)
class KindInformation:
    """How the first kind depends on the question, in nats; hops are weighted by the rollouts that reached them.

    Attributes:
        marginal: H(kind | hop), over all questions together.
        conditional: H(kind | question, hop).
        information: I(kind; question | hop), the difference. A policy that derives the kind from the name in the
            question has a high marginal and zero conditional entropy: its variety comes from the questions, and it does
            not explore.
    """

    marginal: float
    conditional: float
    information: float


def kind_information(
    first_kinds: Sequence[Sequence[Sequence[int]]], *, miller_madow: bool = False
) -> KindInformation | None:
    """I(kind; question | hop) of a set of questions; None if no question has a hop that two rollouts reached.

    Args:
        first_kinds: [question][rollout] -> the first kind of each hop it reached.
        miller_madow: correct both entropies; the difference can then be negative. The plug-in information is at least 0
            and biased upwards by about (K - 1) / 2n, where n is the number of rollouts of a question.
    """
    by_question = [_by_hop(rollouts) for rollouts in first_kinds]
    marginal = conditional = 0.0
    total = 0
    for hop in range(max(map(len, by_question), default=0)):
        groups = [kinds[hop] for kinds in by_question if len(kinds) > hop and len(kinds[hop]) > 1]
        pooled = [kind for kinds in groups for kind in kinds]
        if not pooled:
            continue
        total += len(pooled)
        marginal += len(pooled) * discrete_entropy(pooled, miller_madow=miller_madow)
        conditional += sum(len(kinds) * discrete_entropy(kinds, miller_madow=miller_madow) for kinds in groups)
    if not total:
        return None
    return KindInformation(marginal / total, conditional / total, (marginal - conditional) / total)


def kind_information_draws(
    first_kinds: Sequence[Sequence[Sequence[int]]], indices: NDArray[np.int64], *, miller_madow: bool = False
) -> NDArray[np.float64]:
    """I(kind; question | hop) of each resample of the questions, float64 [resamples], for its bootstrap interval.

    A resample has fewer distinct questions than the original, so its information is slightly smaller. Use the width of
    these draws, not their centre.
    """
    num_kinds = 1 + max((kind for question in first_kinds for rollout in question for kind in rollout), default=0)
    num_hops = max((len(rollout) for question in first_kinds for rollout in question), default=0)
    counts = np.zeros((len(first_kinds), num_hops, num_kinds))
    for at, question in enumerate(first_kinds):
        for hop, kinds in enumerate(_by_hop(question)):
            if len(kinds) > 1:
                np.add.at(counts[at, hop], kinds, 1)
    total = np.maximum(counts[indices].sum((1, 2, 3)), 1)
    conditional = _weighted_entropy(counts, miller_madow=miller_madow)[indices].sum((1, 2))
    marginal = _weighted_entropy(counts[indices].sum(1), miller_madow=miller_madow).sum(1)
    out: NDArray[np.float64] = (marginal - conditional) / total
    return out


def _weighted_entropy(counts: NDArray[np.float64], *, miller_madow: bool) -> NDArray[np.float64]:
    """n H over the last axis of counts; Miller-Madow adds (S - 1) / 2."""
    n = counts.sum(-1, keepdims=True)
    logs = np.log(np.where(counts > 0, counts, 1) / np.where(counts > 0, n, 1))
    correction = np.maximum((counts > 0).sum(-1) - 1, 0) / 2 if miller_madow else 0.0
    out: NDArray[np.float64] = -(counts * logs).sum(-1) + correction
    return out
