"""How much queries tell of their question, from the probabilities that a policy gives them under other questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["QuestionInformation", "question_information"]

_TIE = 1e-9


class QuestionInformation(NamedTuple):
    """One value for each query, float64 [queries].

    Attributes:
        gains: log p(q | own question) - log of the mean of p(q | x) over the questions x, in nats. The mean over
            queries estimates the mutual information of question and query.
        identified: 1 if the own question makes the query likeliest; 1/n if it shares the first place with n - 1 others.
    """

    gains: NDArray[np.float64]
    identified: NDArray[np.float64]


def question_information(log_probs: NDArray[np.float64], own: Sequence[int]) -> QuestionInformation:
    """Scores queries under their own question and under others (RAGEN-2, arXiv 2604.06268; InfoNCE, arXiv 1807.03748).

    For questions drawn at random, the expected gain is at most the mutual information of question and query, whichever
    policy gives the probabilities, and it is never above log N for N questions. Queries that do not depend on the
    question gain 0. Queries that occur under their own question alone gain log N.

    Args:
        log_probs: float64 [queries, questions], log-probability of each query after each question, in nats.
        own: for each query, the number of its question.

    Raises:
        ValueError: a query is impossible after its own question, or the shapes do not agree.
    """
    table, rows = np.asarray(log_probs, np.float64), np.arange(len(own))
    if table.ndim != 2 or len(table) != len(own):
        raise ValueError(f"log_probs {table.shape} must be [queries, questions], with {len(own)} queries")
    of_own = table[rows, list(own)]
    if not np.isfinite(of_own).all():
        raise ValueError("a query has no probability after its own question, which it was recorded with")
    top = table.max(1)
    log_mean = top + np.log(np.exp(table - top[:, None]).mean(1))
    first = of_own >= top - _TIE
    return QuestionInformation(of_own - log_mean, first / (table >= top[:, None] - _TIE).sum(1))
