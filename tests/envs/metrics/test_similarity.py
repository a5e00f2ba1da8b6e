"""Similarities whose value is known: orthogonal items, equal items, published vectors, isotropic noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.metrics.similarity import (
    cosine_floor,
    expectation_adjusted_distinct,
    inter_cosine,
    mean_cosine,
    reward_space_diversity,
    vendi_score,
)


def test_vendi_counts_orthogonal_items_and_sees_one_in_copies():
    assert vendi_score(np.eye(7)) == pytest.approx(7)
    assert vendi_score(np.ones((5, 5))) == pytest.approx(1)
    assert vendi_score(np.kron(np.eye(3), np.ones((4, 4)))) == pytest.approx(3)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3,), (0, 0)])
def test_a_kernel_that_is_no_square_is_refused_by_its_shape(shape):
    with pytest.raises(ValueError, match=r"a kernel is a square matrix of at least one item"):
        vendi_score(np.ones(shape))


def test_vendi_of_two_items_is_the_entropy_of_their_two_eigenvalues():
    high, low = 0.8, 0.2  # eigenvalues (1 +- .6) / 2
    expected = math.exp(-high * math.log(high) - low * math.log(low))
    assert vendi_score([[1.0, 0.6], [0.6, 1.0]]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        ([[2.0]], "diagonal"),
        ([[1.0, 0.5], [0.1, 1.0]], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "semi-definite"),
        ([1.0], "square"),
        ([[1.0, 1.0]], "square"),
        ([[1.0], [1.0]], "square"),
        (np.zeros((0, 0)), "at least one"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel, reason):
    with pytest.raises(ValueError, match=reason):
        vendi_score(kernel)


def test_mean_cosine_is_the_mean_over_pairs():
    rows = np.random.default_rng(0).normal(size=(6, 4))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [unit[i] @ unit[j] for i in range(6) for j in range(i)]
    assert mean_cosine(rows) == pytest.approx(np.mean(pairs))
    assert mean_cosine(np.eye(3)) == pytest.approx(0)
    assert mean_cosine([[1.0, 1.0], [5.0, 5.0]]) == pytest.approx(1)
    assert inter_cosine(rows[:2], rows[2:]) == pytest.approx((unit[:2] @ unit[2:].T).mean())


def test_the_floor_is_the_cosine_of_texts_that_have_nothing_in_common():
    rng = np.random.default_rng(1)
    common = np.full(64, 0.25)  # every text of this encoder shares a direction
    prompts = rng.normal(size=(40, 1, 64)) + rng.normal(size=(40, 10, 64)) * 0.3 + common * 3
    floor = cosine_floor(list(prompts))
    unit = prompts / np.linalg.norm(prompts, axis=-1, keepdims=True)
    expected = [(unit[i] @ unit[j].T).mean() for i in range(40) for j in range(i)]
    assert floor == pytest.approx(np.mean(expected))
    assert floor > 0.3  # so a raw mean cosine of .9 says less than it seems to
    assert mean_cosine(prompts[0]) > floor
    assert abs(cosine_floor(list(rng.normal(size=(40, 10, 64))))) < 0.02


def test_cosines_need_pairs_and_lengths():
    with pytest.raises(ValueError, match="at least 2 items"):
        mean_cosine([[1.0]])
    with pytest.raises(ValueError, match="length 0"):
        mean_cosine([[0.0, 0.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="2 prompts"):
        cosine_floor([[[1.0]]])


def test_expectation_adjusted_distinct_is_the_published_vector():
    # N = 3 distinct of C = 4 words, V = 10: 3 / (10 (1 - .9^4)) = 3 / 3.439
    assert expectation_adjusted_distinct([["a", "b", "c", "a"]], 10, orders=(1,)) == pytest.approx(0.87235, abs=1e-5)


def test_uniform_text_of_any_length_has_an_adjusted_distinct_of_1():
    words = np.random.default_rng(2).integers(0, 50, 4000).astype(str).tolist()
    short = [expectation_adjusted_distinct([words[at : at + 40]], 50, orders=(1,)) for at in range(0, 4000, 40)]
    assert np.mean(short) == pytest.approx(1, abs=0.03)
    assert expectation_adjusted_distinct([words], 50, orders=(1,)) == pytest.approx(1, abs=0.01)
    assert len(set(words[:40])) / 40 > 5 * len(set(words)) / 4000  # distinct-1 falls with length


def test_adjusted_distinct_leaves_out_orders_without_n_grams():
    assert expectation_adjusted_distinct([["a", "b"]], 10, orders=(1, 5)) == expectation_adjusted_distinct(
        [["a", "b"]], 10, orders=(1,)
    )
    assert expectation_adjusted_distinct([[]], 10) is None
    with pytest.raises(ValueError, match="vocabulary"):
        expectation_adjusted_distinct([["a"]], 1)


def test_reward_space_diversity_by_hand():
    # distances 1, 2, 3 over three pairs
    assert reward_space_diversity([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]) == pytest.approx((1 + 3 + 2) / 3)
    assert reward_space_diversity([[0.5, 0.5]] * 4) == 0.0
    with pytest.raises(ValueError, match="at least 2"):
        reward_space_diversity([[1.0]])


def test_a_floor_of_two_prompts_and_a_difference_of_two_vectors():
    assert cosine_floor([[[2.0, 0.0]], [[1.0, 1.0]]]) == pytest.approx(math.sqrt(0.5))
    assert reward_space_diversity([[0.0, 1.0], [1.0, 1.0]]) == 1.0
    with pytest.raises(ValueError, match="at least one embedding"):
        inter_cosine(np.zeros((0, 2)), [[1.0, 0.0]])
    assert inter_cosine([[1.0, 0.0]], [[0.0, 0.5], [3.0, 0.0]]) == 0.5


def test_words_in_ones_to_fives_are_counted_by_default():
    # one distinct gram of each length among 6, 5, 4, 3, 2; from six words on of one word nothing else is repeated
    expected = [1 / (10 * (1 - 0.9**grams)) for grams in (6, 5, 4, 3, 2)]
    assert expectation_adjusted_distinct([["a"] * 6], 10) == pytest.approx(sum(expected) / 5)
    assert expectation_adjusted_distinct([["a", "b"], ["b", "a"]], 2, orders=(1,)) == pytest.approx(
        2 / (2 * (1 - 0.5**4))
    )


def test_a_kernel_may_miss_by_rounding_alone():
    assert vendi_score([[1.0, 1.0], [1.0, 1.0 + 1e-9]]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="semi-definite"):
        vendi_score([[1.0, 1.001], [1.001, 1.0]])  # eigenvalues 1.0005 and -.0005
