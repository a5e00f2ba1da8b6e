"""Exact values of a table of kinds on a set of questions: no rollout, no sampling error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .kind_table import KindWorld

__all__ = ["GROUP_SIZE", "RowTable", "exact_values", "row_success"]

Array = NDArray[np.float64]

GROUP_SIZE = 8
"""Rollouts of the group whose breadth is measured."""


@dataclass(frozen=True, slots=True)
class RowTable:
    """Questions counted by what distinguishes them to a table.

    Attributes:
        present: bool [rows, hops, kinds].
        cue: int [rows].
        weights: float64 [rows], share of the questions.
        row_of_question: int [questions].
    """

    present: NDArray[np.bool_]
    cue: NDArray[np.int64]
    weights: Array
    row_of_question: NDArray[np.int64]

    @classmethod
    def of(cls, world: KindWorld) -> RowTable:
        """Equal questions share a row."""
        flat = np.concatenate([world.cue[:, None], world.present.reshape(len(world.cue), -1)], axis=1)
        rows, inverse, counts = np.unique(flat, axis=0, return_inverse=True, return_counts=True)
        present = rows[:, 1:].reshape(len(rows), *world.present.shape[1:]).astype(np.bool_)
        return cls(present, rows[:, 0], counts / counts.sum(), inverse.reshape(-1))


@dataclass(frozen=True, slots=True)
class _Flow:
    """Chances of one episode of each row.

    Attributes:
        success: float64 [rows].
        found: float64 [rows, hops, kinds], the record was shown and holds the fact.
        first: float64 [rows, hops, kinds], the hop was reached and the kind tried first.
    """

    success: Array
    found: Array
    first: Array


def _flow(table: RowTable, probabilities: Array, budget: int) -> _Flow:
    """Pushes probability mass through the states, by falling numbers of queries left."""
    num_rows, hops, num_kinds = table.present.shape
    chance = probabilities[table.cue]  # [rows, hops, sets, left, kinds]
    mass = np.zeros((budget + 1, hops + 1, 2**num_kinds, num_rows))
    mass[budget, 0, 0] = 1.0
    found, first = np.zeros((num_rows, hops, num_kinds)), np.zeros((num_rows, hops, num_kinds))
    success = np.zeros(num_rows)
    for left in range(budget, 0, -1):
        success += mass[left, hops, 0]
        for hop in range(hops):
            for tried in range(2**num_kinds - 1):
                here = mass[left, hop, tried]
                if not here.any():
                    continue
                for kind in range(num_kinds):
                    if tried >> kind & 1:
                        continue
                    flow = here * chance[:, hop, tried, left, kind]
                    if tried == 0:
                        first[:, hop, kind] += flow
                    hit = table.present[:, hop, kind]
                    found[:, hop, kind] += np.where(hit, flow, 0)
                    mass[left - 1, hop + 1, 0] += np.where(hit, flow, 0)
                    mass[left - 1, hop, tried | 1 << kind] += np.where(hit, 0, flow)
    return _Flow(success + mass[0, hops, 0], found, first)


def row_success(table: RowTable, probabilities: Array, budget: int) -> Array:
    """Chance of one episode of each row, float64 [rows]."""
    return _flow(table, probabilities, budget).success


def exact_values(
    table: RowTable, probabilities: Array, budget: int, ks: Sequence[int] = (1, 2, 4, 8, 16)
) -> tuple[dict[str, float], Array]:
    """Measures over the questions and the chance of success of each row.

    Args:
        table: the questions.
        probabilities: from `kind_probabilities`.
        budget: of the World.
        ks: for pass@k.

    Returns:
        pass@k; breadth of a group of `GROUP_SIZE`, questions with a hop that no kind covers left out;
        kind_entropy = H(first kind | question, hop) and kind_information = I(first kind; question | hop), nats;
        searches an episode. And float64 [rows].
    """
    flow = _flow(table, probabilities, budget)
    values = {f"pass@{k}": float(table.weights @ (1 - (1 - flow.success) ** k)) for k in ks}
    covered = (table.present.sum(2) > 0).all(1)
    if covered.any():
        seen = (1 - (1 - flow.found) ** GROUP_SIZE).sum((1, 2))[covered]
        share = seen / table.present.sum((1, 2))[covered]
        values["breadth"] = float(table.weights[covered] @ share / table.weights[covered].sum())
    values["kind_entropy"], values["kind_information"] = _kind_entropies(table.weights, flow.first)
    return values, flow.success


def _kind_entropies(weights: Array, first: Array) -> tuple[float, float]:
    """Conditional entropy and information of the first kind, hops weighted by how often they are reached."""
    joint = weights[:, None, None] * first  # [rows, hops, kinds]
    reached = joint.sum()
    conditional = _entropy_sum(joint)
    marginal = _entropy_sum(joint.sum(0, keepdims=True))
    return float(conditional / reached), float(max(0.0, (marginal - conditional) / reached))


def _entropy_sum(joint: Array) -> float:
    """Sum over cells of mass x entropy of the last axis."""
    total = joint.sum(-1, keepdims=True)
    share = np.divide(joint, total, out=np.ones_like(joint), where=joint > 0)
    return float(-(joint * np.log(share)).sum())
