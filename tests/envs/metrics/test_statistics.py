"""Intervals by their coverage, tests by an independent implementation, aggregates by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.metrics.crossed import crossed_mean
from berrypick.envs.metrics.statistics import (
    bootstrap_indices,
    bootstrap_mean,
    bootstrap_means,
    equivalence_p,
    hierarchical_bootstrap,
    holm,
    interquartile_mean,
    one_sided_p,
    paired_t_interval,
    probability_of_improvement,
    t_probability,
    t_quantile,
    wilson_interval,
    win_tie_loss,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 8, 19, 40])
@pytest.mark.parametrize("probability", [0.01, 0.3, 0.5, 0.9, 0.975, 0.9995])
def test_t_quantiles_and_probabilities_agree_with_scipy(degrees, probability):
    stats = pytest.importorskip("scipy.stats")
    assert t_quantile(probability, degrees) == pytest.approx(
        float(stats.t.ppf(probability, degrees)), rel=1e-9, abs=1e-9
    )
    for t in (-3.0, -0.5, 0.0, 1.2, 4.0):
        assert t_probability(t, degrees) == pytest.approx(float(stats.t.cdf(t, degrees)), abs=1e-12)


def test_t_quantiles_agree_with_the_printed_table():
    for degrees, value in ((1, 12.706), (2, 4.303), (4, 2.776), (7, 2.365), (19, 2.093)):
        assert t_quantile(0.975, degrees) == pytest.approx(value, abs=5e-4)
    with pytest.raises(ValueError, match="degree"):
        t_quantile(0.9, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_quantile(1.0, 3)


def test_paired_t_interval_by_hand():
    # mean 2, standard deviation 1, error 1 / sqrt 3, t 4.3027
    found = paired_t_interval([1.0, 2.0, 3.0])
    assert (found.value, found.n) == (2.0, 3)
    assert found.high - 2 == pytest.approx(4.30265 / math.sqrt(3), abs=1e-4)
    with pytest.raises(ValueError, match="at least 2 seeds, got 1"):
        paired_t_interval([1.0])


def test_paired_t_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = [
        (found := paired_t_interval(rng.normal(0.3, 1.0, 8).tolist())).low <= 0.3 <= found.high for _ in range(1500)
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_bootstrap_intervals_cover_the_mean_of_a_known_distribution():
    rng = np.random.default_rng(1)
    indices = bootstrap_indices(80, num_resamples=400)
    covered = []
    for _ in range(600):
        found = bootstrap_mean(rng.binomial(1, 0.3, 80).astype(float), indices)
        covered.append(found.low <= 0.3 <= found.high)
    assert np.mean(covered) == pytest.approx(0.945, abs=0.03)


def test_a_constant_difference_has_an_interval_of_no_width_because_questions_are_paired():
    rng = np.random.default_rng(2)
    first = rng.random(50)
    second = first + 0.1
    indices = bootstrap_indices(50)
    found = bootstrap_mean(second - first, indices)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))
    alone = bootstrap_mean(first, indices)
    assert alone.high - alone.low > 0.1  # unpaired, the spread of the questions would show


def test_questions_without_a_value_are_left_out_and_not_counted():
    values = np.array([1.0, np.nan, 3.0])
    found = bootstrap_mean(values, bootstrap_indices(3))
    assert (found.value, found.n) == (2.0, 2)
    with pytest.raises(ValueError, match="no question"):
        bootstrap_mean(np.array([np.nan]), bootstrap_indices(1))


def test_bootstrap_draws_depend_on_the_seed_alone():
    assert np.array_equal(bootstrap_indices(5, seed=3), bootstrap_indices(5, seed=3))
    assert not np.array_equal(bootstrap_indices(5, seed=3), bootstrap_indices(5, seed=4))


def test_hierarchical_intervals_are_wider_than_those_that_forget_the_seeds():
    rng = np.random.default_rng(4)
    question = rng.random(100)
    arms = [question + rng.normal(0, 0.2, (5, 1)) + rng.normal(0, 0.01, (5, 100)) for _ in range(2)]
    both = hierarchical_bootstrap(*arms, num_resamples=500)
    questions_only = bootstrap_mean((arms[1] - arms[0]).mean(0), bootstrap_indices(100))
    assert both.value == pytest.approx(questions_only.value)
    assert both.high - both.low > 10 * (questions_only.high - questions_only.low)
    with pytest.raises(ValueError, match="paired"):
        hierarchical_bootstrap(np.zeros((2, 3)), np.zeros((2, 4)))


def test_one_sided_p_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    values = [0.3, -0.1, 0.5, 0.2, 0.05]
    for bound in (0.0, 0.1, -0.4):
        expected = stats.ttest_1samp(values, bound, alternative="greater").pvalue
        assert one_sided_p(values, bound) == pytest.approx(float(expected))


def test_equivalence_needs_the_interval_inside_the_margin_not_a_zero_inside_the_interval():
    noisy = [0.5, -0.6, 0.4, -0.3]  # its interval holds 0, and tells nothing about a margin of .1
    assert paired_t_interval(noisy).low < 0 < paired_t_interval(noisy).high
    assert equivalence_p(noisy, 0.1) > 0.3
    tight = [0.051, 0.049, 0.05, 0.052]  # its interval excludes 0, and lies within .1
    assert paired_t_interval(tight).low > 0
    assert equivalence_p(tight, 0.1) < 0.001
    with pytest.raises(ValueError, match="margin"):
        equivalence_p(tight, 0.0)


def test_equivalence_at_5_percent_is_the_90_percent_interval_inside_the_margin():
    rng = np.random.default_rng(5)
    for _ in range(50):
        values = rng.normal(0.05, 0.1, 6).tolist()
        interval = paired_t_interval(values, level=0.9)
        assert (equivalence_p(values, 0.1) < 0.05) == (interval.low > -0.1 and interval.high < 0.1)


def test_differences_without_spread_decide_at_once():
    assert equivalence_p([0.0, 0.0, 0.0], 0.01) == 0.0
    assert one_sided_p([0.2, 0.2]) == 0.0
    assert one_sided_p([0.0, 0.0]) == 1.0


def test_holm_by_hand():
    # .01 * 4, .02 * 3, max(.06, .03 * 2), .5
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_family_wise_error_at_5_percent():
    rng = np.random.default_rng(6)
    wrong = [min(holm(rng.random(10).tolist())) < 0.05 for _ in range(2000)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.02)


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    assert interquartile_mean(np.array([[100.0, 1.0], [2.0, -50.0]])) == pytest.approx(1.5)
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(7).random((5, 7))
    assert interquartile_mean(values) == pytest.approx(float(stats.trim_mean(values, 0.25, axis=None)))


def test_probability_of_improvement_counts_ties_half():
    assert probability_of_improvement([1, 2], [2, 3]) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert probability_of_improvement([1, 1], [1, 1]) == 0.5


def test_win_tie_loss_leaves_out_unknown_questions():
    assert win_tie_loss(np.array([0.5, 0.0, -1.0, np.nan, 2.0])) == (2, 1, 1)


@pytest.mark.parametrize("num_questions", [40, 3000])
def test_columns_that_are_resampled_together_have_the_intervals_of_each_alone(num_questions):
    generator = np.random.default_rng(0)
    whole, holes = generator.random(num_questions), generator.random(num_questions)
    holes[::3] = np.nan
    rare = np.full(num_questions, np.nan)
    rare[7] = 0.25  # a resample has it not at all, once, or more often
    columns = {"whole": whole, "holes": holes, "rare": rare}
    indices = bootstrap_indices(num_questions, seed=4)
    found = bootstrap_means(columns, seed=4)
    for name, column in columns.items():
        alone = bootstrap_mean(column, indices)
        assert found[name].n == alone.n
        assert (found[name].value, found[name].low, found[name].high) == pytest.approx(
            (alone.value, alone.low, alone.high), abs=1e-12
        )
    assert bootstrap_means({}) == {}


def test_the_mean_of_seeds_and_questions_by_hand():
    # rows 1 and 3, columns 1.5 and 2.5, no residual: mean squares 4, 1, 0 on 1, 1, 1 degrees of freedom
    found = crossed_mean(np.array([[0.5, 1.5], [2.5, 3.5]]))
    assert found.value == 2.0 and found.n == 2
    half = 12.706205 * math.sqrt((4 + 1 - 0) / 4)  # Satterthwaite: 25 / (16 + 1) = 1.47, rounded down to 1
    assert found.high == pytest.approx(2 + half, rel=1e-6) and found.low == pytest.approx(2 - half, rel=1e-6)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_mean_of_two_seeds_and_three_questions_by_hand(swapped):
    # rows 1 and 3, columns 1, 2, 3, residuals 0, -1, 1 and 0, 1, -1: mean squares 6 / 1, 4 / 2, 4 / 2
    values = np.array([[0.0, 0.0, 3.0], [2.0, 4.0, 3.0]])
    found = crossed_mean(values.T if swapped else values)
    half = 12.706205 * math.sqrt((6 + 2 - 2) / 6)  # Satterthwaite: 36 / (36 + 2 + 2) = 0.9, at least 1
    assert (found.value, found.n) == (2.0, 3 if swapped else 2)
    assert found.high == pytest.approx(2 + half, rel=1e-6) and found.low == pytest.approx(2 - half, rel=1e-6)


def test_the_variance_is_that_of_seeds_or_questions_alone_at_least():
    # rows 1.5 both, columns 1, 2, residuals -1, 1 and 1, -1: mean squares 0, 1, 4; 0 + 1 - 4 is below 1
    found = crossed_mean(np.array([[0.0, 3.0], [2.0, 1.0]]))
    assert found.high == pytest.approx(1.5 + 12.706205 * math.sqrt(1 / 4), rel=1e-6)


def test_intervals_over_seeds_and_questions_cover_the_truth_where_those_over_questions_do_not():
    generator = np.random.default_rng(0)
    crossed = questions_only = 0
    for _ in range(400):
        seeds, questions = generator.normal(0, 0.05, (3, 1)), generator.normal(0, 0.3, (1, 200))
        values = seeds + questions + generator.normal(0, 0.3, (3, 200))
        found, naive = crossed_mean(values), bootstrap_mean(values.mean(0), bootstrap_indices(200, num_resamples=200))
        crossed += found.low <= 0 <= found.high
        questions_only += naive.low <= 0 <= naive.high
    assert crossed / 400 > 0.9 and questions_only / 400 < 0.85


def test_a_table_without_spread_has_an_interval_of_no_width_and_one_seed_has_none():
    found = crossed_mean(np.full((3, 4), 0.25))
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)
    with pytest.raises(ValueError, match="at least 2 seeds"):
        crossed_mean(np.zeros((1, 4)))


def test_two_thousand_resamples_of_seed_0_are_the_default():
    values = np.random.default_rng(8).random(6)
    assert bootstrap_indices(6).shape == (2000, 6)
    assert np.array_equal(bootstrap_indices(6), bootstrap_indices(6, seed=0))
    assert set(bootstrap_indices(6).ravel().tolist()) == set(range(6))
    assert bootstrap_means({"x": values}) == {"x": bootstrap_mean(values, bootstrap_indices(6))}
    arms = np.random.default_rng(9).random((2, 3, 4))
    told = hierarchical_bootstrap(*arms, num_resamples=2000, seed=0)
    assert hierarchical_bootstrap(*arms) == told != hierarchical_bootstrap(*arms, num_resamples=2001, seed=0)


def test_hierarchical_means_by_hand():
    # no seed and no question differs from another: every resample is the difference itself
    found = hierarchical_bootstrap(np.full((2, 3), 0.25), np.full((4, 3), 1.0), num_resamples=20)
    assert (found.value, found.low, found.high, found.n) == (0.75, 0.75, 0.75, 3)
    # the last of four questions differs by 1: a resample's mean is Binomial(4, 1/4) / 4, P(X <= 2) = .949, P(3) = .047
    last = np.array([[0.0, 0.0, 0.0, 1.0]])
    found = hierarchical_bootstrap(np.zeros((1, 4)), last)
    assert (found.value, found.low, found.high) == (0.25, 0.0, 0.75)
    # and the first: an arm against itself differs by its seeds alone
    seeds = np.array([[0.0] * 4, [1.0] * 4])
    found = hierarchical_bootstrap(seeds, seeds)
    assert (found.value, found.low, found.high) == (0.0, -1.0, 1.0)  # 0 0 against 1 1 has chance 1/16 each way


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.5])
def test_a_quantile_of_no_probability_is_refused(probability):
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_quantile(probability, 3)


def test_the_interval_of_seeds_and_questions_has_the_level_that_is_asked_for():
    values = np.array([[0.5, 1.5], [2.5, 3.5]])
    found = crossed_mean(values, level=0.8)  # t of one degree of freedom at 90 %: 3.0777
    assert found.high - found.value == pytest.approx(3.077684 * math.sqrt(5 / 4), rel=1e-6)
    with pytest.raises(ValueError, match="2 questions, got 2 and 1"):
        crossed_mean(np.zeros((2, 1)))


def test_the_degrees_of_freedom_of_seeds_and_questions_by_hand():
    # additive: rows 0, 3 (mean square 4 x 4.5 = 18, 1 degree), columns 0, 1, 2, 3 (2 x 5 / 3 = 10/3, 3), no residual
    values = np.array([[0.0, 1.0, 2.0, 3.0], [3.0, 4.0, 5.0, 6.0]])
    total = 18 + 10 / 3
    assert total**2 / (18**2 / 1 + (10 / 3) ** 2 / 3) == pytest.approx(1.388, abs=1e-3)  # rounded down to 1
    found = crossed_mean(values)
    assert found.high - 3 == pytest.approx(12.706205 * math.sqrt(total / 8), rel=1e-6)
    # columns alone differ: 2 x 5 / 3 on 3 degrees
    found = crossed_mean(np.array([[0.0, 1.0, 2.0, 3.0]] * 2))
    assert found.high - 1.5 == pytest.approx(3.182446 * math.sqrt(10 / 3 / 8), rel=1e-6)


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 5), (5, 5), (3, 7), (0, 256), (255, 256)])
def test_wilson_intervals_agree_with_scipy(right, n):
    from scipy.stats import binomtest

    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_ends_of_wilson_intervals_are_exact():
    assert wilson_interval(0.0, 5)[0] == 0 and wilson_interval(1.0, 5)[1] == 1
    for share, n in ((0.5, 0), (-0.1, 5), (1.1, 5)):
        with pytest.raises(ValueError, match="a proportion needs"):
            wilson_interval(share, n)
