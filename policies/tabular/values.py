"""Exact values of a tabular policy on a set of questions: no rollouts, no sampling error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .row_table import RowTable

__all__ = [
    "GROUP_SIZE",
    "Flow",
    "RowTable",
    "distinct_first_success",
    "exact_values",
    "flow_values",
    "row_success",
    "union_of",
]

Array = NDArray[np.float64]

GROUP_SIZE = 8
"""Rollouts of a group in the measure of breadth."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Probabilities of one episode of each row.

    Attributes:
        success: float64 [rows].
        found: float64 [rows, hops, kinds], the record was shown and contains the fact.
        first: float64 [rows, hops, kinds], the hop was reached and the kind tried first.
        answers: float64 [rows, 2^kinds], exactly these kinds' records were found at the last hop.
        searches: float64 [rows], expected queries.
    """

    success: Array
    found: Array
    first: Array
    answers: Array
    searches: Array


def _flow(table: RowTable, probabilities: Array, budget: int, *, sets: bool = False) -> Flow:
    """Propagates probability mass through the states, from most queries left to none.

    `mass` [queries left, hop (hops = done), set of tried kinds, rows] is the probability of reaching a state. Queries
    left fall by one with every query, so each state is complete before it is left.
    """
    num_rows, hops, num_kinds = table.present.shape
    chance = probabilities[table.table]  # [rows, hops, sets, left, kinds]
    mass = np.zeros((budget + 1, hops + 1, 2**num_kinds, num_rows))
    mass[budget, 0, 0] = 1.0
    found, first = np.zeros((num_rows, hops, num_kinds)), np.zeros((num_rows, hops, num_kinds))
    success, searches, answers = np.zeros(num_rows), np.zeros(num_rows), np.zeros((num_rows, 2**num_kinds))
    for left in range(budget, 0, -1):
        success += mass[left, hops, 0]
        for hop in range(hops):
            continues = sets and hop == hops - 1
            for tried in range(2**num_kinds - 1):
                here = mass[left, hop, tried]
                if not here.any():
                    continue
                searches += here
                for kind in range(num_kinds):
                    if tried >> kind & 1:
                        continue
                    flow = here * chance[:, hop, tried, left, kind]
                    if tried == 0:
                        first[:, hop, kind] += flow
                    hit = table.present[:, hop, kind]
                    hits = np.where(hit, flow, 0)
                    found[:, hop, kind] += hits
                    if continues:
                        mass[left - 1, hop, tried | 1 << kind] += flow
                        continue
                    if hop == hops - 1:
                        answers[:, 1 << kind] += hits
                    mass[left - 1, hop + 1, 0] += hits
                    mass[left - 1, hop, tried | 1 << kind] += np.where(hit, 0, flow)
    success += mass[0, hops, 0]
    if sets:
        _end_sets(table, mass[:, hops - 1], answers)
        success = answers[:, 1:].sum(1)
    answers[:, 0] = 1 - success
    return Flow(success, found, first, answers, searches)


def _end_sets(table: RowTable, mass: Array, answers: Array) -> None:
    """Adds the answers of episodes that ended at the last hop without queries or untried kinds left.

    Args:
        table: the questions.
        mass: float64 [queries left, set of tried kinds, rows], at the last hop.
        answers: float64 [rows, 2^kinds], changed in place.
    """
    num_rows, _, num_kinds = table.present.shape
    available = (table.present[:, -1] * (1 << np.arange(num_kinds))).sum(1)
    for tried in range(1, 2**num_kinds):
        ended = mass[:, tried].sum(0) if tried == 2**num_kinds - 1 else mass[0, tried]
        answers[np.arange(num_rows), tried & available] += ended


def row_success(table: RowTable, probabilities: Array, budget: int) -> Array:
    """Probability that one episode of each row succeeds, float64 [rows]."""
    return _flow(table, probabilities, budget).success


def distinct_first_success(table: RowTable, probabilities: Array, budget: int, k: int) -> float:
    """Probability that one of k episodes succeeds if their first queries are spread evenly over the kinds.

    DivInit (arXiv 2606.17209) with kinds for queries: nothing is trained, and the episodes make no more searches. The
    episodes are not independent, so this is no pass@k: sum over rows of P(row) (1 - prod_i (1 - p_i(row))), where p_i
    is the success of an episode whose first kind is given. Kinds that the policy prefers get one episode more where k
    is no multiple of the number of kinds.

    Args:
        table: the questions.
        probabilities: from `kind_probabilities`.
        budget: of the World.
        k: number of episodes.
    """
    num_kinds = probabilities.shape[-1]
    preferred = np.argsort(-probabilities[:, 0, 0, budget].mean(0), kind="stable")
    missed = np.ones(len(table.weights))
    for place, kind in enumerate(preferred.tolist()):
        given = probabilities.copy()
        given[:, 0, 0, budget] = np.eye(num_kinds)[kind]
        episodes = k // num_kinds + (place < k % num_kinds)
        missed = missed * (1 - row_success(table, given, budget)) ** episodes
    return float(table.weights @ (1 - missed))


def exact_values(
    table: RowTable,
    probabilities: Array,
    budget: int,
    ks: Sequence[int] = (1, 2, 4, 8, 16),
    *,
    num_answers: int = 1,
    sets: bool = False,
    group_size: int = GROUP_SIZE,
) -> tuple[dict[str, float], Array]:
    """Measures over the questions, and the success probability of each row.

    Args:
        table: the questions.
        probabilities: from `kind_probabilities`.
        budget: of the World.
        ks: values of k for pass@k.
        num_answers: of the World.
        sets: whether episodes are sets of answers, see `play`.
        group_size: rollouts of a group in the measure of breadth.

    Returns:
        The measures by name, and float64 [rows]. pass@k; breadth, without questions that have a hop no kind covers;
        kind_entropy = H(first kind | question, hop) and kind_information = I(first kind; question | hop), nats;
        searches per episode. In worlds of conflicting answers also answers@k, the distinct answers of k episodes;
        choice@k, the expected value of the best answer of k episodes if values are drawn from Dirichlet(1); and
        choice@24_searches, the same for as many episodes as make 24 queries.
    """
    flow = _flow(table, probabilities, budget, sets=sets)
    values = flow_values(table, flow, ks, group_size)
    if num_answers > 1:
        values |= _answer_values(table.weights, flow, ks)
    return values, flow.success


def flow_values(table: RowTable, flow: Flow, ks: Sequence[int], group_size: int = GROUP_SIZE) -> dict[str, float]:
    """pass@k, breadth, kind_entropy, kind_information and searches as `exact_values` defines them.

    Args:
        table: the questions.
        flow: probabilities of one episode of each row.
        ks: values of k for pass@k.
        group_size: rollouts of a group in the measure of breadth.
    """
    values = {f"pass@{k}": float(table.weights @ (1 - (1 - flow.success) ** k)) for k in ks}
    covered = (table.present.sum(2) > 0).all(1)
    if covered.any():
        seen = (1 - (1 - flow.found) ** group_size).sum((1, 2))[covered]
        share = seen / table.present.sum((1, 2))[covered]
        values["breadth"] = float(table.weights[covered] @ share / table.weights[covered].sum())
    values["kind_entropy"], values["kind_information"] = _kind_entropies(table.weights, flow.first)
    values["searches"] = float(table.weights @ flow.searches)
    return values


EQUAL_SEARCHES = 24
"""Number of queries at which to compare arms with and without sets: 8 episodes of 3."""


def _answer_values(weights: Array, flow: Flow, ks: Sequence[int]) -> dict[str, float]:
    searches = float(weights @ flow.searches)
    out: dict[str, float] = {}
    for name, k in (*((str(k), k) for k in ks), (f"{EQUAL_SEARCHES}_searches", EQUAL_SEARCHES / searches)):
        union = union_of(flow.answers, k)
        sizes = np.array([bin(found).count("1") for found in range(union.shape[1])])
        num_kinds = int(sizes[-1])
        # the largest of c coordinates of Dirichlet(1) in d dimensions has mean H_c / d
        best = np.array([sum(1 / i for i in range(1, size + 1)) for size in sizes]) / num_kinds
        out[f"choice@{name}"] = float(weights @ union @ best)
        if name.isdigit():
            out[f"answers@{name}"] = float(weights @ union @ sizes)
    return out


def union_of(answers: Array, k: float) -> Array:
    """Distribution of the union of the answers of k independent episodes, [rows, sets].

    The union lies inside a set with the k-th power of the probability that one episode does; subtracting the proper
    subsets leaves the probability of each set itself.
    """
    num_sets = answers.shape[1]
    inside = np.array([[(part & whole) == part for part in range(num_sets)] for whole in range(num_sets)])
    within = np.clip(answers @ inside.T.astype(np.float64), 0, 1) ** k
    union = np.zeros_like(within)
    for whole in range(num_sets):  # subsets have smaller codes
        union[:, whole] = within[:, whole] - union[:, [part for part in range(whole) if inside[whole, part]]].sum(1)
    return union


def _kind_entropies(weights: Array, first: Array) -> tuple[float, float]:
    """H(first kind | question, hop) and I(first kind; question | hop), hops weighted by how often they are reached."""
    joint = weights[:, None, None] * first  # [rows, hops, kinds]
    reached = joint.sum()
    conditional = _entropy_sum(joint)
    marginal = _entropy_sum(joint.sum(0, keepdims=True))
    return float(conditional / reached), float(max(0.0, (marginal - conditional) / reached))


def _entropy_sum(joint: Array) -> float:
    """Sum over cells of mass times entropy, where the last axis is the distribution."""
    total = joint.sum(-1, keepdims=True)
    share = np.divide(joint, total, out=np.ones_like(joint), where=joint > 0)
    return float(-(joint * np.log(share)).sum())
