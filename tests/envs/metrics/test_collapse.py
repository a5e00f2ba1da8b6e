"""Decay, formats, effective diversity, tails: known laws and hand counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.metrics.accuracy import best_of_candidates
from berrypick.envs.metrics.collapse import (
    cross_agent_nll,
    effective_diversity,
    format_shares,
    hardest_quartile_share,
    rank_decay,
    smallest_cap,
    subsample_visits,
)


def test_the_decay_of_a_known_law_is_found_exactly():
    ranks = np.arange(1, 31)
    found = rank_decay(np.random.default_rng(0).permutation(100 * 10 ** (-0.05 * ranks)))
    assert found.beta == pytest.approx(0.05)
    assert found.alpha == pytest.approx(2)
    assert found.r_squared == pytest.approx(1)
    assert found.num_ranks == 30


def test_a_decay_of_three_nodes_by_hand():
    # logs 2, 1, 1 on ranks 1, 2, 3: residuals 1/6, -1/3, 1/6 of deviations 2/3, -1/3, -1/3
    found = rank_decay([10, 100, 10])
    assert (found.beta, found.alpha) == pytest.approx((1 / 2, 7 / 3))
    assert found.r_squared == pytest.approx(1 - (1 / 6) / (2 / 3))
    assert (found.num_ranks, found.total_visits) == (3, 120)


def test_unvisited_nodes_leave_the_fit_and_equal_visits_do_not_decay():
    assert rank_decay([10, 0, 1, 0]).beta == pytest.approx(1)
    assert rank_decay([4, 4, 4]).beta == pytest.approx(0)
    assert math.isnan(rank_decay([4, 4, 4]).r_squared)
    with pytest.raises(ValueError, match="2 visited"):
        rank_decay([5, 0])


def test_decay_depends_on_total_visits_so_arms_are_subsampled_to_equal_totals():
    rng = np.random.default_rng(1)
    shares = 1.0 / np.arange(1, 201)
    many = rng.multinomial(50_000, shares / shares.sum())
    few = rng.multinomial(300, shares / shares.sum())
    assert rank_decay(few).beta > 1.5 * rank_decay(many).beta  # one law, two fits
    equal = [rank_decay(subsample_visits(many, 300, seed)).beta for seed in range(30)]
    assert np.mean(equal) == pytest.approx(rank_decay(few).beta, abs=3 * np.std(equal))
    assert subsample_visits(many, 300, 0).sum() == 300
    with pytest.raises(ValueError, match="cannot draw"):
        subsample_visits([1, 2], 4, 0)


def test_format_shares_by_hand():
    found = format_shares(["code", "code", "text", "code"], [True, False, True, True])
    assert found.shares == {"code": 0.75, "text": 0.25}
    assert found.dominant == "code"
    assert found.entropy == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert found.accuracy == {"code": pytest.approx(2 / 3), "text": 1.0}


def test_the_four_quantities_of_effective_diversity_by_hand():
    found = effective_diversity([True, True, True, False], ["p", "p", "q", "r"])
    assert found.fixed_budget == 2 / 4
    assert found.pairwise == 2 / 6  # the pairs (p, q) twice
    assert found.quality == 3 / 4
    assert found.given_quality == 2 / 3


def test_diversity_given_quality_without_a_valid_output_is_not_zero():
    found = effective_diversity([False, False], ["p", "q"])
    assert math.isnan(found.given_quality)
    assert (found.fixed_budget, found.pairwise, found.quality) == (0.0, 0.0, 0.0)
    assert math.isnan(effective_diversity([True], ["p"]).pairwise)


def test_more_valid_outputs_raise_effective_diversity_while_diversity_given_quality_falls():
    base = effective_diversity([True, True] + [False] * 6, list("abcdefgh"))
    tuned = effective_diversity([True] * 8, list("aabbccdd"))
    assert tuned.fixed_budget > base.fixed_budget
    assert tuned.given_quality < base.given_quality


def test_the_hardest_quartile_is_fixed_by_difficulty_and_uniform_acceptance_gives_a_quarter():
    difficulty = {f"q{i}": i / 8 for i in range(8)}
    assert hardest_quartile_share(list(difficulty), difficulty) == 0.25
    assert hardest_quartile_share(["q7", "q6", "q0", "q7"], difficulty) == 0.75
    assert hardest_quartile_share([], difficulty) is None
    with pytest.raises(ValueError, match="'q9'"):
        hardest_quartile_share(["q9"], difficulty)


def test_cross_agent_likelihood_leaves_out_what_agents_think_of_themselves():
    log_probs = [[-1.0, -4.0], [-6.0, -100.0]]
    assert cross_agent_nll(log_probs, [2, 4]) == pytest.approx((4 / 4 + 6 / 2) / 2)
    with pytest.raises(ValueError, match="2 agents"):
        cross_agent_nll([[0.0]], [1])


def test_the_smallest_cap_on_the_plateau():
    assert smallest_cap({0: 0.2, 1: 0.5, 2: 0.79, 3: 0.8, 5: 0.8}, 0.02) == 2
    assert smallest_cap({0: 0.8, 5: 0.8}, 0.0) == 0


def test_candidates_of_a_rollout_come_together():
    scores = [[0.0, 1.0], [0.5, 0.0], [0.0, 0.0]]
    assert best_of_candidates(scores, 1) == pytest.approx(0.5 / 3)
    assert best_of_candidates(scores, 2) == pytest.approx((1 + 0.5 + 0) / 3)
    assert best_of_candidates(scores, 4) == pytest.approx((1 + 1 + 0.5) / 3)
    with pytest.raises(ValueError, match="multiple of the 2"):
        best_of_candidates(scores, 3)
    with pytest.raises(ValueError, match="same number"):
        best_of_candidates([[1.0], [1.0, 0.0]], 1)


def test_the_dominant_format_is_the_first_by_name_among_equals():
    found = format_shares(["b", "a", "a", "b", "c"], [True, False, True, False, True])
    assert found.dominant == "a" and list(found.shares) == list(found.accuracy) == ["a", "b", "c"]


def test_the_hardest_quartile_takes_the_first_by_id_among_equals_and_names_the_first_unknown():
    equal = {f"q{i}": 0.5 for i in range(4)}
    assert hardest_quartile_share(["q0"], equal) == 1.0 and hardest_quartile_share(["q3", "q0"], equal) == 0.5
    with pytest.raises(ValueError, match="'q7'"):
        hardest_quartile_share(["q9", "q7"], equal)


def test_all_or_none_of_the_visits_may_be_drawn_and_two_ranks_fitted():
    assert subsample_visits([1, 2], 3, 0).tolist() == [1, 2] and subsample_visits([1, 2], 0, 0).tolist() == [0, 0]
    with pytest.raises(ValueError, match="cannot draw -1 of 3"):
        subsample_visits([1, 2], -1, 0)
    found = rank_decay([1, 100])  # logs 2 and 0 on ranks 1 and 2
    assert (found.beta, found.alpha, found.r_squared) == pytest.approx((2, 4, 1))


def test_pairs_of_three_agents_by_hand():
    log_probs = [[-9.0, -2.0, -4.0], [-1.0, -9.0, -2.0], [-3.0, -6.0, -9.0]]
    # columns divided by 1, 2 and 2, without the diagonal: 1 + 2, 1 + 1, 3 + 3
    assert cross_agent_nll(log_probs, [1, 2, 2]) == pytest.approx((1 + 2 + 1 + 1 + 3 + 3) / 6)


def test_diversity_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no outputs"):
        effective_diversity([], [])
    assert effective_diversity([True, True], ["p", "q"]).pairwise == 1.0
