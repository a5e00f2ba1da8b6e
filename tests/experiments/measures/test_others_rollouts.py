"""Measures of rollouts from anywhere: values by hand, and what is absent says why and is never zero."""

from __future__ import annotations

import math
from typing import Any

import pytest
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.experiments.measures import Group, register_measure, summarize
from berrypick.experiments.measures.measures import MEASURES, extended
from berrypick.experiments.measures.rollout import rollout_of


def episode(question: str, sample: int, *searches: tuple[str, list[str] | None], **facts: Any) -> EpisodeRecord:
    """Searches are (query, ids of the passages); None: the log does not tell the passages."""
    turns = [
        TurnRecord(
            text=facts.get("written", "<search> {} </search>").format(query),
            action="search",
            queries=[query],
            hits=[] if ids is None else [[HitRecord(id=name, score=1.0) for name in ids]],
        )
        for query, ids in searches
    ]
    asked = QuestionRecord(id=question, text=question, answers=facts.get("answers", []))
    kept = {name: value for name, value in facts.items() if name not in ("written", "answers")}
    return EpisodeRecord(question=asked, group_id=question, sample_index=sample, turns=turns, **kept)


def values(records: list[EpisodeRecord]) -> dict[str, float]:
    return {key: row["value"] for key, row in summarize(records, ks=(1, 2))["measures"].items()}


PASSAGES = [
    episode("q1", 0, ("rome founder", ["a", "b"]), ("rome founder city", ["a", "b"]), ("paris", ["c"])),
    episode("q1", 1, ("rome founder", ["b", "a"])),
    episode("q2", 0, ("oslo", ["d"])),
    episode("q2", 1, ("oslo", ["d"])),
]


def test_values_by_hand() -> None:
    found = values(PASSAGES)
    # q1: {rome founder} and {rome founder city} are 2/3 alike, so apart; with paris three clusters. q2: one.
    assert found["query_clusters"] == (3 + 1) / 2
    # q1: pairs across rollouts 1, 2/3, 0; q2: 1
    assert found["query_similarity"] == pytest.approx(((1 + 2 / 3 + 0) / 3 + 1) / 2)
    assert found["retrieval_clusters"] == (2 + 1) / 2  # the order of passages does not count
    assert found["turns"] == ((3 + 1) / 2 + 1) / 2
    assert found["query_specificity"] == 1.0
    assert found["format_dominant"] == 1.0 and found["format_entropy"] == 0.0
    assert found["degenerate_text"] == 0.0 and found["search_errors"] == 0.0


def test_without_passages_what_needs_them_is_absent_and_says_why() -> None:
    report = summarize([episode("q1", n, ("rome", None)) for n in range(2)], ks=(1,))
    for key in ("distinct_passages", "retrieval_clusters", "redundancy", "path_entropy", "semantic_query_entropy"):
        assert key not in report["measures"]
        assert "do not list the passages" in report["absent"][key]
    assert report["measures"]["query_clusters"]["value"] == 1
    assert {"breadth", "all_hops", "path_coverage", "effective_diversity"} <= set(report["absent"])


def test_one_rollout_without_passages_takes_its_question_out() -> None:
    report = summarize([*PASSAGES, episode("q1", 2, ("rome", None))], ks=(1,))
    assert report["left_out"]["distinct_passages"] == 1
    assert report["measures"]["distinct_passages"]["value"] == 1


def test_ungraded_rollouts_have_no_accuracy() -> None:
    absent = summarize(PASSAGES, ks=(1,))["absent"]
    assert {"em", "f1", "sub_em", "pass@1"} <= set(absent)
    assert "berrypick rescore --questions FILE" in absent["em"] and absent["pass@1"] == absent["em"]
    assert "berrypick report --policy" in absent["query_token_entropy"]
    assert absent["answers_distinct@2"] == "no answers" and absent["zero_variance"].startswith("no rewards")


def test_unknown_queries_and_turns_are_absent() -> None:
    records = [episode("q1", n, unknown=["queries", "passages", "turns"]) for n in range(2)]
    report = summarize(records, ks=(1,))
    keys = {"searches", "unique_query_ratio", "query_clusters", "turns", "valid_actions", "format_dominant"}
    assert keys <= set(report["absent"]), keys - set(report["absent"])


def test_formats_are_those_of_the_arm() -> None:
    plain, thought = "<search> {} </search>", "<think> x </think> <search> {} </search>"
    records = [
        episode("q1", 0, ("a1", ["a"]), written=plain),
        episode("q1", 1, ("a1", ["a"]), written=thought),
        episode("q2", 0, ("b", ["b"]), written=thought),
    ]
    found = values(records)
    # shares: q1 half and half, q2 all thought; over questions 1/4 and 3/4
    assert found["format_dominant"] == pytest.approx(3 / 4)
    assert found["format_entropy"] == pytest.approx(-(1 / 4) * math.log(1 / 4) - (3 / 4) * math.log(3 / 4))


def test_groups_with_one_reward_are_counted() -> None:
    rewards = [("q1", 1.0), ("q1", 1.0), ("q2", 0.0), ("q2", 1.0)]
    records = [episode(name, n, ("x", ["a"]), reward=reward) for n, (name, reward) in enumerate(rewards)]
    assert values(records)["zero_variance"] == 0.5


def test_a_measure_of_a_user_sees_whole_episodes() -> None:
    @register_measure("words_written", "words written", "count", "words of all turns")
    def words_written(group: Group) -> float | None:
        return float(sum(len(turn.text.split()) for record in group for turn in record.turns))

    try:
        assert values(PASSAGES[2:])["words_written"] == 6
        assert extended() is True, "whole episodes must be kept for it"
    finally:
        del MEASURES["words_written"]
    assert extended() is False
    slim = rollout_of(PASSAGES[0], keep=False)
    assert slim.queries == ("rome founder", "rome founder city", "paris")
    with pytest.raises(AttributeError, match="keep the episode"):
        _ = slim.turns


def test_questions_without_a_grade_are_left_out_and_the_others_count() -> None:
    graded = [episode("q1", n, ("rome", None)).model_copy(update={"em": float(n)}) for n in range(2)]
    ungraded = [episode("q2", n, ("rome", None)) for n in range(2)]
    report = summarize([*graded, *ungraded], ks=(1, 2))
    assert report["measures"]["pass@1"]["value"] == 0.5
    assert report["measures"]["pass@2"] == {"value": 1.0, "low": pytest.approx(0.2065, abs=1e-4), "high": 1.0, "n": 1}
    assert report["left_out"]["pass@2"] == 1
