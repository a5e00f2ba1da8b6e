"""Verdicts: what each rule says on differences whose answer is known, and how often it errs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from berrypick.envs.metrics.statistics import Estimate
from berrypick.experiments.grid.claims import Claim, Evidence, judge
from scipy import stats


def claim(name="c", expected="increase", effect=0.02, min_worlds=5):
    return Claim(name, "a claim", "design", "an endpoint", expected, effect, min_worlds, "all cells")


def around(mean, n=8, spread=0.002):
    return (mean + spread * np.linspace(-1, 1, n)).tolist()


def verdict_of(one, differences, **facts):
    (verdict,) = judge([one], {one.id: Evidence(differences, list(range(len(differences))), **facts)})
    return verdict


@pytest.mark.parametrize(
    ("expected", "mean", "verdict", "reason"),
    [
        ("increase", 0.05, "supported", ""),
        ("increase", 0.01, "contradicted", "some effect, smaller than asked"),
        ("increase", 0.0, "contradicted", "the difference lies below the smallest effect of interest"),
        ("increase", -0.05, "contradicted", "the difference lies below the smallest effect of interest"),
        ("decrease", -0.05, "supported", ""),
        ("decrease", -0.01, "contradicted", "some effect, smaller than asked"),
        ("decrease", 0.0, "contradicted", "the difference lies below the smallest effect of interest"),
        ("equivalent", 0.0, "supported", ""),
        ("equivalent", 0.015, "supported", ""),
        ("equivalent", 0.05, "contradicted", "the difference lies beyond the margin"),
        ("equivalent", -0.05, "contradicted", "the difference lies beyond the margin"),
        ("at most", 0.01, "supported", ""),
        ("at most", -0.05, "supported", ""),
        ("at most", 0.05, "contradicted", "the value lies above the margin"),
    ],
)
def test_clear_differences_get_the_verdict_of_the_rule(expected, mean, verdict, reason):
    found = verdict_of(claim(expected=expected), around(mean))
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("expected", "mean"), [("increase", 0.021), ("decrease", -0.021), ("at most", 0.0205), ("equivalent", 0.0195)]
)
def test_an_effect_near_the_margin_is_inconclusive_however_far_from_zero(expected, mean):
    found = verdict_of(claim(expected=expected), around(mean, spread=0.004))
    assert (found.verdict, found.reason) == ("inconclusive", "the interval holds both answers")
    assert abs(found.estimate.low) > 0.015


@pytest.mark.parametrize("expected", ["increase", "decrease", "equivalent", "at most"])
def test_noise_that_holds_both_answers_is_inconclusive(expected):
    found = verdict_of(claim(expected=expected), around(0.01, spread=0.3))
    assert (found.verdict, found.reason) == ("inconclusive", "the interval holds both answers")


def test_support_is_a_t_test_against_the_margin():
    values = np.array([0.022, 0.031, 0.024, 0.035, 0.019, 0.028])
    t = (values.mean() - 0.02) / (values.std(ddof=1) / math.sqrt(len(values)))
    found = verdict_of(claim(), values.tolist())
    assert found.p_supported == pytest.approx(stats.t.sf(t, len(values) - 1))
    assert found.p_contradicted == pytest.approx(stats.t.cdf(t, len(values) - 1))
    limit = verdict_of(claim(expected="at most"), values.tolist())
    assert (limit.p_supported, limit.p_contradicted) == pytest.approx((found.p_contradicted, found.p_supported))
    mirrored = verdict_of(claim(expected="decrease"), (-values).tolist())
    assert mirrored.p_supported == pytest.approx(found.p_supported)


def estimate(low, high):
    return Estimate((low + high) / 2, low, high, 8)


@pytest.mark.parametrize(
    ("expected", "mean", "settings", "flips"),
    [
        ("increase", 0.05, {"rate 1": (-0.03, -0.01)}, "rate 1"),
        ("increase", 0.05, {"rate 1": (-0.03, 0.01), "40 steps": (0.0, 0.2)}, ""),
        ("decrease", -0.05, {"rate 1": (-0.9, -0.1), "40 steps": (0.001, 0.002)}, "40 steps"),
        ("decrease", -0.05, {"rate 0.3": (0.1, 0.2), "rate 1": (0.1, 0.2)}, "rate 0.3, rate 1"),
        ("increase", 0.05, {"rate 1": (-0.03, 0.0)}, ""),  # an interval that ends at 0 holds it
        ("decrease", -0.05, {"rate 1": (0.0, 0.03)}, ""),
        ("increase", 0.01, {"rate 1": (-0.03, -0.01)}, "rate 1"),  # a contradiction waits as well
        ("equivalent", 0.01, {"rate 1": (-0.03, -0.01)}, ""),
        ("at most", 0.01, {"rate 1": (-0.03, -0.01)}, ""),
    ],
)
def test_a_sign_that_flips_in_another_setting_is_inconclusive(expected, mean, settings, flips):
    found = verdict_of(
        claim(expected=expected), around(mean), settings={name: estimate(*ends) for name, ends in settings.items()}
    )
    assert set(found.settings) == set(settings)
    if flips:
        assert (found.verdict, found.reason) == ("inconclusive", f"the sign flips with the setting: {flips}")
    else:
        assert found.verdict == "supported"
    assert found.p_supported is not None


def test_a_setting_changes_no_verdict_that_there_is_none_of():
    found = verdict_of(claim(), around(0.02, spread=0.1), settings={"rate 1": estimate(-0.03, -0.01)})
    assert found.reason == "the interval holds both answers"


def test_an_interval_that_holds_zero_is_no_equivalence():
    found = verdict_of(claim(expected="equivalent"), around(0.0, spread=0.2))
    assert found.estimate.low < 0 < found.estimate.high
    assert found.verdict == "inconclusive"


def test_fewer_worlds_than_asked_for_stay_inconclusive_however_clear_and_the_missing_ones_are_named():
    found = verdict_of(claim(min_worlds=8), around(0.5, 7), missing={7: "crashed: no memory"})
    assert found.verdict == "inconclusive"
    assert found.reason == "7 worlds of the 8 that were asked for"
    assert found.missing == {"7": "crashed: no memory"}
    assert len(found.differences) == 7


def test_worlds_without_a_value_are_missing_and_not_zero():
    found = verdict_of(claim(), [*around(0.05, 6), math.nan])
    assert found.estimate.n == 6
    assert found.missing == {"6": "no value"}
    assert found.verdict == "supported"


def test_what_was_not_run_is_inconclusive_and_what_cannot_be_measured_is_not_decidable_here():
    found = judge([claim("a"), claim("b")], {"b": Evidence(undecidable="no cue")})
    assert [(v.verdict, v.reason) for v in found] == [("inconclusive", "not run"), ("not decidable here", "no cue")]
    assert found[0].estimate is None


def test_before_its_stopping_rule_is_met_a_claim_is_not_tested_and_weighs_on_the_others():
    early = verdict_of(claim(), around(0.5), unfinished="3 cells to go")
    assert (early.verdict, early.reason, early.p_supported) == ("inconclusive", "3 cells to go", None)
    assert early.estimate is not None
    differences = around(0.05, 6, spread=0.03)
    alone = verdict_of(claim(), differences)
    for other in (Evidence(around(0.9), range(8), unfinished="3 cells to go"), Evidence([0.9, 0.91], [0, 1])):
        found = judge([claim(), claim("d")], {"c": Evidence(differences, range(6)), "d": other})[0]
        assert found.p_supported == pytest.approx(2 * alone.p_supported)


def test_a_caveat_stands_beside_the_verdict():
    assert verdict_of(claim(), around(0.05), caveat="one broke").reason == "one broke"
    found = verdict_of(claim(), around(-0.05), caveat="one broke")
    assert found.reason == "the difference lies below the smallest effect of interest; one broke"


def test_worlds_that_all_failed_give_their_reason():
    found = verdict_of(claim(), [], missing={0: "not run", 1: "MemoryError: full"})
    assert (found.verdict, found.reason) == ("inconclusive", "no world has a value: MemoryError: full")
    assert verdict_of(claim(), [], missing={0: "not run"}).reason == "not run"


def test_holm_counts_claims_that_were_not_run():
    differences = around(0.05, 6, spread=0.03)
    alone = verdict_of(claim(), differences)
    assert alone.verdict == "supported"
    crowd = [claim(), *(claim(f"other-{i}") for i in range(40))]
    found = judge(crowd, {"c": Evidence(differences, list(range(6)))})[0]
    assert found.p_supported == pytest.approx(min(1.0, 41 * alone.p_supported))
    assert found.verdict == "inconclusive"


def test_claims_of_no_effect_are_supported_by_mistake_in_at_most_5_percent_of_families():
    rng = np.random.default_rng(0)
    claims = [claim(f"c{i}", effect=1e-9) for i in range(5)]
    wrong = 0
    for _ in range(400):
        evidence = {c.id: Evidence(rng.normal(0, 1, 6).tolist(), list(range(6))) for c in claims}
        wrong += any(v.verdict == "supported" for v in judge(claims, evidence))
    assert wrong / 400 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_evidence_for_an_unregistered_claim_and_claims_without_a_size_are_refused():
    with pytest.raises(ValueError, match="evidence must name registered claims only"):
        judge([claim()], {"d": Evidence()})
    with pytest.raises(ValueError, match="claim ids must be unique"):
        judge([claim(), claim()], {})
    with pytest.raises(ValueError, match="smallest effect"):
        claim(effect=0.0)
    with pytest.raises(ValueError, match="at least 2 worlds"):
        claim(min_worlds=1)


def test_every_claim_counts_in_holm_that_cannot_be_decided_or_is_too_early():
    differences = around(0.05, 6, spread=0.03)
    alone = verdict_of(claim(), differences)
    rest = {
        "undecidable": Evidence(undecidable="no room"),
        "early": Evidence(around(0.5), range(8), unfinished="3 cells to go"),
        "few": Evidence([0.5, 0.51], [0, 1]),
        "empty": Evidence([math.nan] * 6, range(6)),
    }
    claims = [claim(), *map(claim, rest), claim("not run")]
    found = judge(claims, {"c": Evidence(differences, range(6)), **rest})
    assert found[0].p_supported == pytest.approx(6 * alone.p_supported)
    assert [verdict.p_supported for verdict in found[1:]] == [None] * 5
    assert [verdict.verdict for verdict in found[1:]] == ["not decidable here", *["inconclusive"] * 4]


def test_a_row_is_json():
    row = verdict_of(claim(), around(0.05)).as_row()
    assert json.loads(json.dumps(row))["claim"]["expected"] == "increase"


def test_a_row_has_a_doubt_only_where_the_claim_has_one():
    assert "doubt" not in verdict_of(claim(), around(0.05)).as_row()["claim"]
    doubted = Claim("c", "a claim", "design", "an endpoint", "increase", 0.02, 5, "all cells", doubt="small worlds")
    assert verdict_of(doubted, around(0.05)).as_row()["claim"]["doubt"] == "small worlds"


def test_as_many_worlds_as_asked_for_are_enough_and_two_have_an_interval():
    assert verdict_of(claim(min_worlds=8), around(0.05, 8)).verdict == "supported"
    assert verdict_of(claim(min_worlds=2), around(0.05, 2)).verdict == "supported"
    two, one = verdict_of(claim(), around(0.05, 2)), verdict_of(claim(), [0.05])
    assert two.estimate is not None and two.estimate.n == 2 and two.reason == "2 worlds of the 5 that were asked for"
    assert one.estimate is None and one.reason == "1 worlds of the 5 that were asked for"


def test_an_equivalence_is_contradicted_by_both_sides_of_the_margin():
    values = np.array([0.022, 0.031, 0.024, 0.035, 0.019, 0.028])
    for sign in (1, -1):
        found = verdict_of(claim(expected="equivalent"), (sign * values).tolist())
        t = (values.mean() - 0.02) / (values.std(ddof=1) / math.sqrt(6))
        assert found.p_contradicted == pytest.approx(2 * stats.t.sf(t, 5))
        assert found.p_supported == pytest.approx(stats.t.cdf(t, 5))


def test_missing_worlds_and_reasons_are_in_order():
    found = verdict_of(claim(), around(0.05), missing={19: "x", 11: "y", 8: "z"})
    assert list(found.missing) == ["8", "11", "19"]
    found = verdict_of(claim(), [], missing={0: "zero memory", 1: "MemoryError", 2: "not run"})
    assert found.reason == "no world has a value: MemoryError"
    kept = verdict_of(claim(), [*around(0.05), math.nan], missing={8: "crashed"})
    assert kept.missing == {"8": "crashed"}


def test_a_difference_of_0_has_no_sign_to_flip():
    for ends in ((0.1, 0.2), (-0.2, -0.1)):
        found = verdict_of(claim(), [0.001, -0.001] * 4, settings={"rate 1": estimate(*ends)})
        assert (found.estimate.value, found.verdict) == (0.0, "contradicted")


def test_evidence_that_is_told_to_be_unfinished_or_undecidable_is_not_tested():
    for facts in ({"unfinished": "1 cell to go"}, {"undecidable": "no room"}):
        found = verdict_of(claim(), around(0.05), **facts)
        assert (found.p_supported, found.p_contradicted) == (None, None)
        assert found.reason == next(iter(facts.values()))


def test_a_world_without_a_difference_is_part_of_an_effect_that_is_too_small():
    found = verdict_of(claim(), [0.0, 0.01, 0.009, 0.011, 0.01, 0.0105])
    assert (found.verdict, found.reason) == ("contradicted", "some effect, smaller than asked")


def test_a_claim_that_only_its_company_leaves_open_says_so():
    """t = 2.1 with 7 degrees of freedom: p = .037 alone, three times that among three claims."""
    differences = around(0.0304, spread=0.02)
    assert verdict_of(claim(), differences).verdict == "supported"
    together = judge([claim(name) for name in "abc"], {name: Evidence(differences, list(range(8))) for name in "abc"})
    assert {(one.verdict, one.reason) for one in together} == {
        ("inconclusive", "alone it would be supported; with all claims counted (Holm) it is not certain enough")
    }
    against = judge(
        [claim(name, expected="at most") for name in "abc"],
        {name: Evidence(differences, list(range(8))) for name in "abc"},
    )
    assert against[0].reason.startswith("alone it would be contradicted; ")
