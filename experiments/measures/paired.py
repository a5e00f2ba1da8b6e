"""Two arms on the questions that both answered: paired differences with 95 % bootstrap intervals over questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.statistics import bootstrap_indices, bootstrap_mean
from ...envs.record import EpisodeRecord
from ...retrieval_index.errors import BerrypickError
from .same_questions import check_same_questions
from .summary import question_table_of

__all__ = ["compare"]

_BY_RETRIEVAL = frozenset({"semantic_query_entropy", "path_entropy", "distinct_passages", "distinct_passages_rarefied"})


def compare(
    first: Sequence[EpisodeRecord],
    second: Sequence[EpisodeRecord],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    seed: int = 0,
) -> dict[str, Any]:
    """Paired differences second - first over the questions both answered, at equal numbers of samples.

    Distinct counts, coverage and plug-in entropies grow with samples, so the first samples of each question are taken,
    as many as the poorest group of both has. What is defined through retrieval is left out between different indexes.

    Raises:
        BerrypickError: no question is shared, or one id stands for different questions.

    Returns:
        {"num_shared", "num_not_shared", "samples", "differences": {measure: {value, low, high, n}}}.
    """
    check_same_questions({"the first": first, "the second": second})
    samples = min(_samples(first), _samples(second))
    a, b = (question_table_of(_first_samples(records, samples), ks) for records in (first, second))
    shared = sorted(set(a.question_ids) & set(b.question_ids))
    if not shared:
        raise BerrypickError("these rollouts share no question; compare runs over the same questions")
    at_a = [a.question_ids.index(key) for key in shared]
    at_b = [b.question_ids.index(key) for key in shared]
    indices = bootstrap_indices(len(shared), seed=seed)
    one_retrieval = _one_retrieval(first, second)
    differences: Mapping[str, NDArray[np.float64]] = {
        name: b.columns[name][at_b] - a.columns[name][at_a]
        for name in a.columns
        if name in b.columns and (name not in _BY_RETRIEVAL or one_retrieval)
    }
    return {
        "num_shared": len(shared),
        "num_not_shared": len(set(a.question_ids) ^ set(b.question_ids)),
        "samples": samples,
        "differences": {
            name: asdict(bootstrap_mean(column, indices))
            for name, column in differences.items()
            if not np.isnan(column).all()
        },
    }


def _one_retrieval(*arms: Sequence[EpisodeRecord]) -> bool:
    """Whether one index answered with one number of passages; equivalence of queries depends on both."""
    ids = {record.index_id for records in arms for record in records}
    return len(ids) == 1 and len({max(_depths(records)) for records in arms}) == 1


def _depths(records: Sequence[EpisodeRecord]) -> list[int]:
    return [0, *(len(ranking) for record in records for turn in record.turns for ranking in turn.hits)]


def _samples(records: Sequence[EpisodeRecord]) -> int:
    return min(Counter(record.question.id for record in records).values())


def _first_samples(records: Sequence[EpisodeRecord], size: int) -> list[EpisodeRecord]:
    seen: Counter[str] = Counter()
    kept = []
    for record in sorted(records, key=lambda r: (r.question.id, r.sample_index)):
        seen[record.question.id] += 1
        if seen[record.question.id] <= size:
            kept.append(record)
    return kept
