"""Intervals where all questions agree: Wilson's for proportions, none for other measures; values by hand."""

from __future__ import annotations

import pytest
from berrypick.envs.metrics.statistics import Estimate
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.experiments.measures import measure_of, summarize
from berrypick.experiments.measures.intervals import arm_estimate, is_proportion
from berrypick.experiments.measures.paired import compare


def episode(name: str, em: float, num_passages: int = 2) -> EpisodeRecord:
    hits = [HitRecord(id=f"{name}-{at}", score=1.0) for at in range(num_passages)]
    return EpisodeRecord(
        question=QuestionRecord(id=name, text=name, answers=["fig"]),
        group_id=name,
        sample_index=0,
        turns=[TurnRecord(text=name, action="search", queries=[name], hits=[hits])],
        em=em,
        terminated=True,
    )


def measures(*ems: float):
    return summarize([episode(f"q{at}", em) for at, em in enumerate(ems)], ks=(1,))["measures"]


def test_no_right_answer_of_five_leaves_room_for_some() -> None:
    # z = 1.96: z² / (5 + z²) = 3.8416 / 8.8416
    for key in ("em", "pass@1"):
        assert measures(0, 0, 0, 0, 0)[key] == {"value": 0, "low": 0, "high": pytest.approx(0.4345, abs=1e-4), "n": 5}


def test_five_of_five_are_not_surely_all() -> None:
    found = measures(1, 1, 1, 1, 1)
    assert found["em"] == {"value": 1, "low": pytest.approx(0.5655, abs=1e-4), "high": 1, "n": 5}
    assert found["finished"] == found["em"]


def test_questions_that_differ_keep_the_bootstrap() -> None:
    # resamples of (0, 1) have the means 0, .5 and 1 with chances 1/4, 1/2 and 1/4
    assert measures(0, 1)["em"] == {"value": 0.5, "low": 0, "high": 1, "n": 2}


def test_measures_that_are_no_proportions_have_no_interval_without_spread() -> None:
    for key, value in (("distinct_passages", 2), ("searches", 1), ("format_entropy", 0)):
        assert measures(0, 0, 0)[key] == {"value": value, "low": value, "high": value, "n": 3}
    loss = Estimate(0.0, 0.0, 0.0, 5)
    assert arm_estimate("execution_loss", loss)["high"] == 0, "it may be below 0, so 0 is no end of its range"
    half = Estimate(0.5, 0.5, 0.5, 5)
    assert arm_estimate("em", half) == {"value": 0.5, "low": 0.5, "high": 0.5, "n": 5}


def test_paired_differences_keep_the_bootstrap() -> None:
    a, b = ([episode(f"q{at}", em) for at in range(3)] for em in (0.0, 0.0))
    assert compare(a, b, ks=(1,))["differences"]["em"] == {"value": 0, "low": 0, "high": 0, "n": 3}


@pytest.mark.parametrize("key", ["em", "pass@8", "breadth", "finished", "valid_actions", "gave_up"])
def test_shares_from_0_to_1_are_proportions(key: str) -> None:
    assert is_proportion(key)


@pytest.mark.parametrize("key", ["execution_loss", "frontier_distance", "price", "waste", "reward", "searches", "mine"])
def test_differences_rewards_and_counts_are_none(key: str) -> None:
    assert not is_proportion(key), measure_of(key)
