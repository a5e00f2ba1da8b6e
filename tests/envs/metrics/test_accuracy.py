"""pass@k and best@k against subset enumeration, simulation and the published vectors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from berrypick.envs.metrics.accuracy import best_at_k, pass_at_k
from hypothesis import given, settings
from hypothesis import strategies as st


def test_pass_at_4_of_2_right_among_8_is_the_published_vector():
    assert pass_at_k(8, 2, 4) == pytest.approx(0.785714, abs=1e-6)  # 1 - C(6,4)/C(8,4) = 1 - 15/70
    assert best_at_k([1, 1, 0, 0, 0, 0, 0, 0], 4) == pytest.approx(0.785714, abs=1e-6)


def test_pass_at_k_is_1_once_fewer_than_k_samples_are_wrong():
    assert pass_at_k(8, 5, 4) == 1.0
    assert pass_at_k(8, 0, 8) == 0.0
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=7), st.data())
@settings(max_examples=30, deadline=None)
def test_best_at_k_is_the_mean_best_over_all_subsets(scores, data):
    k = data.draw(st.integers(1, len(scores)))
    expected = np.mean([max(subset) for subset in itertools.combinations(scores, k)])
    assert best_at_k(scores, k) == pytest.approx(expected)


def test_pass_at_k_is_unbiased_on_a_bernoulli_policy():
    p, n, k, draws = 0.3, 10, 4, 20_000
    right = np.random.default_rng(0).binomial(n, p, draws)
    estimates = np.array([pass_at_k(n, int(c), k) for c in right])
    naive = np.array([1 - (1 - c / n) ** k for c in right])
    truth = 1 - (1 - p) ** k
    error = estimates.std() / np.sqrt(draws)
    assert abs(estimates.mean() - truth) < 4 * error
    assert abs(naive.mean() - truth) > 10 * error  # the plug-in is biased, so the check can fail


@pytest.mark.parametrize(("n", "c", "k"), [(4, 2, 5), (4, 2, 0), (4, 5, 2), (4, -1, 2)])
def test_impossible_counts_are_refused(n, c, k):
    with pytest.raises(ValueError, match=str(n)):
        pass_at_k(n, c, k)


def test_best_at_more_than_the_samples_is_refused():
    with pytest.raises(ValueError, match="got 3"):
        best_at_k([1.0, 0.0], 3)


def test_the_best_of_no_samples_is_refused():
    with pytest.raises(ValueError, match="got 0"):
        best_at_k([1.0, 0.0], 0)
