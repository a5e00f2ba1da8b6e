"""Measures of rollouts from anywhere: values by hand, and what is absent says why and is never zero."""

from __future__ import annotations

import math
from typing import Any

import pytest
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.experiments.measures import Group, register_measure, summarize
from berrypick.experiments.measures.arm_columns import format_columns, specificities
from berrypick.experiments.measures.measures import MEASURES, extended
from berrypick.experiments.measures.rollout import SharedFacts, rollout_of


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


def test_hops_wordings_and_tokens_by_hand() -> None:
    evidence = [[["a"], ["b"]], [["z"]], []]
    known = [
        episode("q1", 0, ("rome", ["a"]), ("oslo", ["b"]), policy_tokens=4),
        episode("q1", 1, ("rome founder", ["a"]), ("oslo", ["b"])),
        episode("q1", 2, ("rome", ["a"]), policy_tokens=8),
        episode("q1", 3),
    ]
    asked = known[0].question.model_copy(update={"evidence": evidence})
    found = values([record.model_copy(update={"question": asked}) for record in known])
    assert found["all_hops"] == 2 / 4
    # the wordings (rome, oslo), (rome founder, oslo), (rome); the paths (a, b), (a); who did not search has neither
    assert found["wordings_per_path"] == 3 / 2
    assert found["policy_tokens"] == 6
    assert found["unique_query_ratio"] == 3 / 5 and found["unique_query_ratio_episode"] == 1
    assert found["searches"] == 5 / 4
    silent = summarize([episode("q1", n) for n in range(2)], ks=(1,))["absent"]
    assert "wordings_per_path" in silent and "all_hops" in silent
    empty = known[0].model_copy(update={"question": asked.model_copy(update={"evidence": [[]]})})
    assert "all_hops" in summarize([empty], ks=(1,))["absent"], "a path without a hop is none"


def test_searches_that_failed_are_told_from_those_over_budget() -> None:
    records = [episode("q1", 0, ("rome", ["a"]), ("oslo", None), ("bern", None))]
    errors = (None, "search unavailable", "search budget exceeded")
    turns = [turn.model_copy(update={"error": error}) for turn, error in zip(records[0].turns, errors)]
    found = values([records[0].model_copy(update={"turns": turns})])
    assert found["search_errors"] == pytest.approx(1 / 3) and found["valid_actions"] == pytest.approx(1 / 3)
    assert found["searches"] == 1


def test_equal_rewards_are_exact_matches_where_no_reward_is_recorded() -> None:
    def share(*rollouts: dict[str, float]) -> float | None:
        return values([episode("q1", n, **facts) for n, facts in enumerate(rollouts)]).get("zero_variance")

    assert share({"em": 1.0}, {"em": 1.0}) == 1 and share({"em": 1.0}, {"em": 0.0}) == 0
    assert share({"em": 1.0, "reward": 0.5}, {"em": 0.0, "reward": 0.5}) == 1
    assert share({"em": 1.0, "reward": 0.5}, {"em": 0.5}) == 1
    assert share({"em": 1.0}, {}) is None and share({"em": 1.0}) is None
    assert share({"reward": 0.0}, {"reward": 0.0}) == 1


def test_a_measure_of_a_user_without_a_value_lacks_the_data() -> None:
    @register_measure("never_known", "never known")
    def never_known(group: Group) -> float | None:
        return None

    try:
        report = summarize(PASSAGES, ks=(1,))
        assert report["absent"]["never_known"] == "the rollouts lack the data"
        assert (MEASURES["never_known"].unit, MEASURES["never_known"].meaning) == ("", "")
        assert never_known(Group(PASSAGES)) is None
    finally:
        del MEASURES["never_known"]


def test_rollouts_of_a_file_share_their_question_and_up_to_16_kinds_of_rules() -> None:
    shared = SharedFacts()
    assert shared.spec(None) is None
    kinds = [{"top_k": n} for n in range(17)]
    assert all(shared.spec(rules) is rules for rules in kinds)
    assert [shared.spec({"top_k": n}) is kinds[n] for n in range(17)] == [True] * 16 + [False]
    one, equal, other = (QuestionRecord(id="q", text=text, answers=[]) for text in ("a", "a", "b"))
    assert shared.question(one) is one is shared.question(equal) and shared.question(other) is other
    rollout = rollout_of(PASSAGES[0].model_copy(update={"spec": {"top_k": 3}}), shared)
    assert rollout.spec is kinds[3] and rollout.record is not None
    assert rollout_of(PASSAGES[0], shared).question is rollout.question
    with pytest.raises(AttributeError, match="keep the episode"):
        _ = rollout._anything
    assert rollout.turns[0].queries == ["rome founder"]


def test_the_specificity_of_each_question_is_against_the_next_one() -> None:
    records = [
        episode("q1", 0, ("p q", ["a"]), ("z", ["a"])), episode("q1", 1, ("p q r", ["a"])),
        episode("q2", 0, ("p q", ["a"])), episode("q2", 1, ("p q", ["a"]), ("z z", ["a"])),
        episode("q3", 0, ("s", ["a"])), episode("q3", 1, ("t", ["a"])), episode("q3", 2),
    ]  # fmt: skip
    by_question = [Group([r for r in records if r.question.id == name]) for name in ("q1", "q2", "q3")]
    # q1: 2/3 within against 1, 1, 2/3, 2/3 with q2; q2: 1 against 0; q3: 0 against four times 0 with q1
    assert specificities(by_question) == pytest.approx([(0 + 0 + 1 / 2 + 1 / 2) / 4, 1.0, 0.5])
    assert specificities(by_question[:1]) == [None] and specificities([]) == []


def test_questions_without_text_have_no_format_and_the_first_by_name_is_dominant() -> None:
    records = [
        episode("q1", 0, ("x", ["a"]), written="<b> {}"), episode("q2", 0, ("x", ["a"]), written="<a> {}"),
        episode("q3", 0), episode("q2", 1),
    ]  # fmt: skip
    groups = [Group([r for r in records if r.question.id == name]) for name in ("q1", "q2", "q3")]
    found = format_columns(groups)
    assert found.dominant == [0.0, 1.0, None]
    assert found.entropy == [pytest.approx(math.log(2)), pytest.approx(math.log(2)), None]
    assert format_columns(groups[2:]) == ([None], [None])
