"""What queries tell of their question: by hand, at both ends, and against slow, plain sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.metrics.information import question_information
from hypothesis import given
from hypothesis import strategies as st

LOG_PROBS = st.floats(-40, 0)
TABLES = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.lists(LOG_PROBS, min_size=n, max_size=n), min_size=1, max_size=6)
)


def test_three_queries_by_hand() -> None:
    table = np.log([[0.5, 0.25], [0.5, 0.25], [0.1, 0.3]])
    gains, identified = question_information(table, [0, 1, 1])
    assert gains == pytest.approx([math.log(0.5 / 0.375), math.log(0.25 / 0.375), math.log(0.3 / 0.2)])
    assert identified.tolist() == [1, 0, 1]


def test_it_estimates_the_mutual_information_of_a_known_channel() -> None:
    """Two equally frequent questions, a query that is right with probability .9: I = log 2 - H(.9)."""
    channel = np.array([[0.9, 0.1], [0.1, 0.9]])
    questions = np.repeat([0, 1], 100)
    queries = np.concatenate([np.repeat([0, 1], [90, 10]), np.repeat([1, 0], [90, 10])])
    gains, identified = question_information(np.log(channel[:, queries].T), questions)
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert gains.mean() == pytest.approx(math.log(2) - entropy)
    assert identified.mean() == pytest.approx(0.9)


@given(LOG_PROBS, st.integers(2, 9))
def test_queries_that_ignore_the_question_tell_nothing(log_prob: float, questions: int) -> None:
    gains, identified = question_information(np.full((questions, questions), log_prob), range(questions))
    assert gains == pytest.approx(0, abs=1e-12)
    assert identified == pytest.approx(1 / questions)


@given(st.integers(2, 9))
def test_a_query_of_its_own_for_each_question_tells_the_question(questions: int) -> None:
    with np.errstate(divide="ignore"):
        gains, identified = question_information(np.log(np.eye(questions)), range(questions))
    assert gains == pytest.approx(math.log(questions))
    assert identified.tolist() == [1] * questions


@given(TABLES, st.randoms(use_true_random=False))
def test_no_gain_is_above_the_logarithm_of_the_questions(table: list[list[float]], random) -> None:
    own = [random.randrange(len(row)) for row in table]
    gains, identified = question_information(np.array(table), own)
    for row, at, gain, first in zip(table, own, gains, identified, strict=True):
        assert gain <= math.log(len(row)) + 1e-9
        slow = row[at] - math.log(math.fsum(math.exp(value) for value in row) / len(row))
        assert gain == pytest.approx(slow, abs=1e-9)
        assert 0 <= first <= 1 and (first > 0) == (row[at] >= max(row) - 1e-9)


def test_wrong_shapes_and_impossible_queries_raise() -> None:
    with pytest.raises(ValueError, match="must be"):
        question_information(np.zeros(3), [0, 0, 0])
    with pytest.raises(ValueError, match="must be"):
        question_information(np.zeros((2, 3)), [0])
    with pytest.raises(ValueError, match="no probability"):
        question_information(np.array([[-np.inf, 0.0]]), [0])


def test_queries_that_are_as_likely_up_to_rounding_share_the_first_place() -> None:
    table = np.array([[-1.0, -1.0 - 1e-10, -5.0], [-1.0, -1.1, -5.0], [-5.0, -1.0, -1.0 + 1e-10]])
    assert question_information(table, [1, 1, 1]).identified.tolist() == [0.5, 0.0, 0.5]
