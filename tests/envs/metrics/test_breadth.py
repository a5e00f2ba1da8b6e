"""Coverage, distinct counts and Hill numbers against hand counts, enumeration and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from berrypick.envs.metrics.breadth import (
    diff_at_k,
    effective_number,
    path_coverage,
    rarefied_distinct,
    rarefied_union,
    redundancy,
    union_coverage,
    unique_ratio,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TWO_HOPS = [[frozenset({"a1", "a2"}), frozenset({"b1"})]]


def test_breadth_is_relevant_passages_found_by_the_group_over_those_there_are():
    shown = [frozenset({"a1", "void"}), frozenset({"a1", "b1"}), frozenset()]
    assert union_coverage(TWO_HOPS, shown) == pytest.approx(2 / 3)


def test_records_that_hold_no_fact_enter_neither_side_of_breadth():
    assert union_coverage(TWO_HOPS, [frozenset({"a1", "a2", "b1"})]) == 1.0
    assert union_coverage(TWO_HOPS, [frozenset({"a1", "a2", "b1", "void1", "void2"})]) == 1.0
    assert union_coverage(TWO_HOPS, [frozenset({"void1", "void2"})]) == 0.0


def test_a_question_with_a_hop_that_no_kind_covers_has_no_breadth():
    assert union_coverage([[frozenset({"a1"}), frozenset()]], [frozenset({"a1"})]) is None
    assert union_coverage([], [frozenset({"a1"})]) is None


def test_a_path_counts_once_one_rollout_alone_walked_it():
    paths = [[frozenset({"a"}), frozenset({"b"})], [frozenset({"c"}), frozenset({"d"})], [frozenset()]]
    assert path_coverage(paths, [frozenset("ab"), frozenset("c"), frozenset("d")]) == 0.5
    assert path_coverage(paths, [frozenset("abcd")]) == 1.0
    assert path_coverage([[frozenset()]], [frozenset("a")]) is None


def test_diff_at_4_is_the_published_vector():
    answers = ["A", "A", "B", "B", "B", "C", "D", "E"]
    assert diff_at_k(answers, 4) == pytest.approx(3.214286, abs=1e-6)
    assert effective_number(answers) == pytest.approx(4.4556, abs=1e-4)
    assert effective_number(answers, 2) == pytest.approx(4.0)
    assert effective_number(answers, 0) == pytest.approx(5.0)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=7), st.data())
@settings(max_examples=30, deadline=None)
def test_diff_at_k_is_the_mean_number_of_distinct_outcomes_over_all_subsets(outcomes, data):
    k = data.draw(st.integers(1, len(outcomes)))
    expected = np.mean([len(set(subset)) for subset in itertools.combinations(outcomes, k)])
    assert diff_at_k(outcomes, k) == pytest.approx(expected)
    assert rarefied_distinct(outcomes, k) == pytest.approx(expected)


@given(st.lists(st.frozensets(st.sampled_from("abcd"), max_size=3), min_size=1, max_size=6), st.data())
@settings(max_examples=30, deadline=None)
def test_rarefied_union_is_the_mean_union_over_all_subsets_of_queries(sets, data):
    size = data.draw(st.integers(1, len(sets)))
    expected = np.mean([len(frozenset().union(*subset)) for subset in itertools.combinations(sets, size)])
    assert rarefied_union(sets, size) == pytest.approx(expected)


def test_diff_at_k_is_unbiased_on_a_known_distribution():
    p, n, k, draws = np.array([0.5, 0.3, 0.2]), 8, 3, 8_000
    rows = np.random.default_rng(1).choice(3, size=(draws, n), p=p)
    estimates = np.array([diff_at_k(row.tolist(), k) for row in rows])
    truth = float((1 - (1 - p) ** k).sum())
    assert abs(estimates.mean() - truth) < 4 * estimates.std() / np.sqrt(draws)


def test_rarefaction_needs_enough_items():
    assert rarefied_distinct(["a"], 2) is None
    assert rarefied_union([frozenset("a")], 2) is None
    assert rarefied_union([], 0) is None


@pytest.mark.parametrize("order", [0, 1, 2, 3, 0.5])
def test_the_effective_number_of_equal_shares_is_their_number(order):
    assert effective_number(list("abcd") * 3, order) == pytest.approx(4)


def test_the_effective_number_of_a_known_distribution_is_its_exponential_entropy():
    outcomes = ["a"] * 3 + ["b"]
    assert effective_number(outcomes) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    assert effective_number(outcomes, 2) == pytest.approx(1 / (0.5625 + 0.0625))
    with pytest.raises(ValueError, match="no outcomes"):
        effective_number([])


def test_ratios_without_anything_to_count_are_absent():
    assert unique_ratio([]) is None
    assert unique_ratio(["q", "q", "r", "r"]) == 0.5
    assert redundancy([frozenset()]) is None
    assert redundancy([frozenset("ab"), frozenset("bc")]) == pytest.approx(1 - 3 / 4)


def test_what_has_no_hop_or_no_draw_is_refused_or_absent():
    assert union_coverage([[]], [frozenset({"a1"})]) is None
    assert union_coverage([[], *TWO_HOPS], [frozenset({"a1"})]) is None
    assert path_coverage([[], *TWO_HOPS], [frozenset({"a1", "b1"})]) == 1.0
    assert rarefied_distinct(["a", "b"], 0) is None and rarefied_distinct(["a", "b"], 1) == 1.0
    assert rarefied_union([frozenset("ab")], 0) is None and rarefied_union([frozenset("ab")], 1) == 2.0
    for k in (0, 3):
        with pytest.raises(ValueError, match=f"the 2 samples, got {k}"):
            diff_at_k(["a", "b"], k)
