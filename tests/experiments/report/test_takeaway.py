"""The takeaway: better, narrower, and how sure, in words that agree with the intervals."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from berrypick.experiments.report.format import compact
from berrypick.experiments.report.takeaway import takeaway, takeaway_of, verdicts, verdicts_of
from berrypick.experiments.report.verdict_table import print_verdicts
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

SEED_0 = Path(__file__).resolve().parents[3] / "results" / "demo" / "seed-0.json"


def row(value, low, high):
    return {"value": value, "low": low, "high": high, "n": 100}


UP, DOWN, NONE = row(0.059, 0.02, 0.1), row(-0.047, -0.07, -0.02), row(0.002, -0.009, 0.013)


def said(once, many=None, arm="GRPO", base="SFT"):
    differences = {"pass@1": once, "em": once} | ({} if many is None else {"pass@2": NONE, "pass@8": many})
    return takeaway_of(verdicts_of([base, arm], {f"{arm} - {base}": differences}))


def test_more_right_at_once_and_less_in_several_tries_is_narrower() -> None:
    assert said(UP, DOWN) == (
        "GRPO answers 5.9 points more right at once than SFT (+.059 [.020, .100]) and finds 4.7 points less in 8 tries "
        "(-.047 [-.070, -.020]): better at once, but narrower."
    )


@pytest.mark.parametrize(
    ("once", "many", "words"),
    [
        (UP, UP, "better and broader"),
        (UP, NONE, "no difference can be seen in 8 tries (+.002 [-.009, .013]): better."),
        (DOWN, DOWN, "GRPO answers 4.7 points fewer right at once than SFT"),
        (DOWN, DOWN, "worse and narrower"),
        (NONE, DOWN, "GRPO finds 4.7 points less in 8 tries than SFT"),
        (NONE, DOWN, "no difference can be seen at once (+.002 [-.009, .013]): narrower."),
        (NONE, UP, ": broader."),
        (UP, None, "(+.059 [.020, .100]): better."),
        (NONE, None, "No difference can be seen between GRPO and SFT: right at once +.002 [-.009, .013]."),
        (row(0.0, 0.0, 0.0), row(0.0, 0.0, 0.0), "No difference can be seen between GRPO and SFT"),
        (row(0.05, 0.0, 0.1), None, "No difference can be seen"),
    ],
)
def test_every_outcome_has_its_words(once, many, words: str) -> None:
    assert words in said(once, many)


estimates = (
    st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
    .map(sorted)
    .map(lambda three: row(three[1], three[0], three[2]))
)


@given(once=estimates, many=estimates)
def test_a_difference_is_claimed_only_where_the_interval_excludes_zero(once, many) -> None:
    text = said(once, many).lower()
    unsure = [not (r["low"] > 0 or r["high"] < 0) for r in (once, many)]
    assert ("no difference can be seen" in text) == any(unsure)
    assert ("right at once than" in text) == (not unsure[0])
    assert ("narrower" in text) == (many["high"] < 0)
    assert ("broader" in text) == (many["low"] > 0)


def test_arms_with_one_outcome_share_a_clause_and_names_with_a_dash_are_told_apart() -> None:
    pair = {"pass@1": UP, "pass@8": DOWN}
    text = takeaway_of(verdicts_of(["a - b", "c", "d"], {"c - a - b": pair, "d - a - b": pair, "d - c": pair}))
    assert text.startswith(
        "c and d answer 5.9 points more right at once than a - b and find 4.7 points less in 8 tries"
    )
    assert "; d answers 5.9 points more right at once than c (" in text


def test_one_arm_is_described_with_its_intervals() -> None:
    arm = {"measures": {"pass@1": row(0.485, 0.44, 0.53), "pass@8": row(0.789, 0.74, 0.84)}}
    report = {"arms": {"run": arm}, "differences": {}, "references": {"ceiling": {"pass@8": 0.793}}}
    assert takeaway(report) == (
        "run answers 48.5 of 100 questions right at once (95 % interval 44.0 to 53.0) and finds 78.9 in 8 tries "
        "(95 % interval 74.0 to 84.0); no policy can find more than 79.3."
    )
    report["arms"]["run"]["measures"] = {"breadth": row(0.5, 0.4, 0.6)}
    assert "not graded" in takeaway(report)


def test_arms_that_cannot_be_compared_say_so() -> None:
    assert "cannot be said" in takeaway_of([])


def test_a_demo_in_which_all_objectives_narrow_is_one_sentence() -> None:
    """Differences of an earlier run of the demo: a new run has other ones, and would have another sentence."""
    found = {
        "GRPO - SFT": (row(0.0586, 0.0273, 0.0889), row(-0.0469, -0.0742, -0.0195)),
        "Dr. GRPO - SFT": (row(0.0557, 0.0259, 0.0850), row(-0.0430, -0.0703, -0.0156)),
        "DARLING - SFT": (row(0.0576, 0.0298, 0.0845), row(-0.0312, -0.0547, -0.0078)),
        "DARLING - Dr. GRPO": (row(0.0020, -0.0088, 0.0132), row(0.0117, -0.0039, 0.0312)),
    }
    differences = {pair: {"pass@1": once, "em": once, "pass@8": many} for pair, (once, many) in found.items()}
    text = takeaway_of(verdicts_of(["SFT", "GRPO", "Dr. GRPO", "DARLING"], differences))
    assert text.startswith(
        "GRPO, Dr. GRPO and DARLING answer 5.6 to 5.9 points more right at once than SFT and find 3.1"
    )
    assert "; no difference can be seen between DARLING and Dr. GRPO: " in text


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_the_verdicts_fit_and_the_takeaway_is_last(width: int) -> None:
    report = json.loads(SEED_0.read_text())
    text = io.StringIO()
    print_verdicts(Console(file=text, width=width), verdicts(report), takeaway(report), width, "questions")
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width and "…" not in text.getvalue()
    assert " ".join(text.getvalue().split()).endswith(takeaway(report))


def test_compact_differences_have_no_leading_zeros() -> None:
    assert compact(row(-0.0004, -1.5, 0.25)) == "-.000 [-1.500, .250]"
    assert compact(None) == "–"


def test_a_single_question_is_never_a_difference() -> None:
    single = {"value": 1.0, "low": 1.0, "high": 1.0, "n": 1}
    assert said(single, single) == (
        "No difference can be seen between GRPO and SFT: right at once +1.000 (1 question), in 8 tries +1.000 "
        "(1 question)."
    )


def test_differences_without_spread_say_so() -> None:
    assert compact(row(0.0, 0.0, 0.0)) == "+.000 (no spread)"


def test_right_is_never_said_without_the_recorded_reward_that_contradicts_it() -> None:
    arm = {
        "measures": {"pass@1": row(0.0, 0.0, 0.434), "reward": row(1.0, 1.0, 1.0)},
        "reward_against_em": {"rollouts": 5, "of": 5, "share": 1.0, "rewarded": 5},
    }
    assert takeaway({"arms": {"judged": arm}, "differences": {}}) == (
        "By exact match judged answers 0.0 of 100 questions right at once (95 % interval 0.0 to 43.4), but the "
        "recorded rewards contradict that in 5 of 5 rollouts: their mean is 1.000."
    )
    both = {"arms": {"SFT": {"measures": {}}, "GRPO": arm}, "differences": {"GRPO - SFT": {"differences": {"em": UP}}}}
    assert takeaway(both).endswith(
        ": better. Right means exact match, which the recorded rewards contradict in 5 of 5 rollouts of GRPO."
    )


def test_ungraded_rollouts_with_rewards_have_a_mean_reward() -> None:
    arm = {"measures": {"reward": row(0.4, 0.0, 0.8)}}
    assert takeaway({"arms": {"run": arm}, "differences": {}}) == (
        "The rollouts of run are not graded: how often it is right cannot be said; their mean recorded reward is 0.400."
    )
