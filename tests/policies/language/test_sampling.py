"""Inverse-CDF sampling: shares, nucleus, greedy; log-probabilities and entropies are of the full softmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from berrypick.policies.counter_random import uniforms
from berrypick.policies.language.sampling import sample_tokens
from berrypick.policies.policy import Sampling
from berrypick.retrieval_index.errors import BerrypickError

P = np.array([0.1, 0.4, 0.0, 0.3, 0.2])
LOGITS = torch.tensor(np.log(np.where(P > 0, P, 1e-45)), dtype=torch.float32)


def draw(draws: np.ndarray, **sampling: float) -> tuple[list[int], list[float], list[float]]:
    return sample_tokens(LOGITS.expand(len(draws), -1), draws, Sampling(**sampling))


def test_a_draw_picks_the_token_whose_share_of_the_cdf_it_falls_into() -> None:
    ids, log_probs, entropies = draw(np.array([0.0, 0.0999, 0.1001, 0.4999, 0.5001, 0.7999, 0.8001, 0.9999]))
    assert ids == [0, 0, 1, 1, 3, 3, 4, 4]
    np.testing.assert_allclose(log_probs, np.log(P[ids]), rtol=1e-5)
    positive = P[P > 0]
    np.testing.assert_allclose(entropies, -(positive * np.log(positive)).sum(), rtol=1e-5)


def test_nucleus_keeps_the_fewest_tokens_that_reach_its_mass() -> None:
    ids, log_probs, _ = draw(np.linspace(0, 0.9999, 700), top_p=0.65)
    assert set(ids) == {1, 3}
    assert np.mean(np.array(ids) == 1) == pytest.approx(4 / 7, abs=0.01)
    assert set(np.round(log_probs, 5)) == set(np.round(np.log([0.4, 0.3]), 5))


def test_a_tiny_nucleus_is_greedy() -> None:
    assert set(draw(np.linspace(0, 0.9999, 50), top_p=1e-9)[0]) == {1}


def test_temperature_zero_takes_the_likeliest() -> None:
    ids, log_probs, _ = draw(np.linspace(0, 0.9999, 50), temperature=0.0)
    assert set(ids) == {1}
    np.testing.assert_allclose(log_probs, np.log(0.4), rtol=1e-5)


def test_temperature_changes_the_draw_and_not_the_log_probability() -> None:
    draws = (np.arange(20_000) + 0.5) / 20_000
    ids, log_probs, _ = draw(draws, temperature=2.0)
    tempered = np.sqrt(P) / np.sqrt(P).sum()
    np.testing.assert_allclose(np.bincount(ids, minlength=5) / 20_000, tempered, atol=1e-3)
    np.testing.assert_allclose(log_probs, np.log(P[ids]), rtol=1e-5)


def test_shares_of_counter_draws_are_the_probabilities() -> None:
    n = 20_000
    ids, _, _ = draw(uniforms(np.arange(n, dtype=np.uint64), np.zeros(n, np.int64)))
    shares = np.bincount(ids, minlength=5) / n
    assert (np.abs(shares - P) <= 4 * np.sqrt(P * (1 - P) / n)).all()


@pytest.mark.parametrize("bad", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"max_new_tokens": 0}])
def test_impossible_sampling_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(BerrypickError, match="must"):
        Sampling(**bad)
