"""Paired differences of two arms, with 95 % bootstrap intervals over the questions that both answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.statistics import bootstrap_means
from ...retrieval_index.errors import BerrypickError
from .rollout import Played, Rollout, rollouts_of
from .rows import PairedRow, estimate_row
from .same_questions import check_same_questions
from .summary import question_table_of

__all__ = ["compare"]

_BY_RETRIEVAL = frozenset({"semantic_query_entropy", "path_entropy", "distinct_passages", "distinct_passages_rarefied",
                           "retrieval_clusters"})  # fmt: skip

"""Measures defined through retrieval: only arms over the same index and number of passages are compared in them."""


def compare(
    first: Sequence[Played],
    second: Sequence[Played],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    seed: int = 0,
) -> PairedRow:
    """Computes second - first for every measure, over the questions that both arms answered.

    Distinct counts, coverage and entropies grow with the number of rollouts. Both arms are therefore cut to the first
    rollouts of each question, as many as the smallest group of both has. Measures that are defined through retrieval
    are left out if the two arms searched different indexes.

    Args:
        first: rollouts of the base.
        second: rollouts of the arm that is compared with it.
        ks: values of k for pass@k.
        seed: seed of the bootstrap.

    Raises:
        BerrypickError: the arms share no question, or one id stands for different questions.
    """
    base, arm = rollouts_of(first), rollouts_of(second)
    check_same_questions({"the first": base, "the second": arm})
    samples = min(_samples(base), _samples(arm))
    a, b = (question_table_of(_first_samples(rollouts, samples), ks) for rollouts in (base, arm))
    shared = sorted(set(a.question_ids) & set(b.question_ids))
    if not shared:
        raise BerrypickError("these rollouts share no question; compare runs over the same questions")
    at_a, at_b = (np.searchsorted(table.question_ids, shared) for table in (a, b))  # both are sorted
    one_retrieval = _one_retrieval(base, arm)
    both: Mapping[str, NDArray[np.float64]] = {
        name: b.columns[name][at_b] - a.columns[name][at_a]
        for name in a.columns
        if name in b.columns and (name not in _BY_RETRIEVAL or one_retrieval)
    }
    differences = {name: column for name, column in both.items() if not np.isnan(column).all()}
    return {
        "num_shared": len(shared),
        "num_not_shared": len(set(a.question_ids) ^ set(b.question_ids)),
        "samples": samples,
        "differences": {name: estimate_row(row) for name, row in bootstrap_means(differences, seed=seed).items()},
    }


def _one_retrieval(*arms: Sequence[Rollout]) -> bool:
    """Whether all searched one index for one number of passages; whether two queries are equivalent depends on both."""
    ids = {rollout.index_id for rollouts in arms for rollout in rollouts}
    return len(ids) == 1 and len({_depth(rollouts) for rollouts in arms}) == 1


def _depth(rollouts: Sequence[Rollout]) -> int:
    return max((len(ranking) for rollout in rollouts for ranking in rollout.rankings), default=0)


def _samples(rollouts: Sequence[Rollout]) -> int:
    return min(Counter(rollout.question.id for rollout in rollouts).values())


def _first_samples(rollouts: Sequence[Rollout], size: int) -> list[Rollout]:
    seen: Counter[str] = Counter()
    first = []
    for rollout in sorted(rollouts, key=lambda r: (r.question.id, r.sample_index)):
        seen[rollout.question.id] += 1
        if seen[rollout.question.id] <= size:
            first.append(rollout)
    return first
