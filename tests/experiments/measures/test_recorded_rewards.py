"""Recorded rewards: their mean, where they contradict exact match, and the true reasons of what is absent."""

from __future__ import annotations

import pytest
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.experiments.measures import summarize
from berrypick.experiments.measures.contradictions import contradicts
from berrypick.experiments.measures.measures import MEASURES
from berrypick.experiments.measures.rows import SummaryRow


def episode(
    question: str = "q1",
    sample: int = 0,
    queries: tuple[str, ...] = ("fig",),
    evidence: list[list[list[str]]] | None = None,
    **facts,
) -> EpisodeRecord:
    return EpisodeRecord(
        question=QuestionRecord(id=question, text=question, answers=["fig"], evidence=evidence or []),
        group_id=question,
        sample_index=sample,
        turns=[
            TurnRecord(text=query, action="search", queries=[query], hits=[[HitRecord(id="p", score=1.0)]])
            for query in queries
        ],
        **facts,
    )


def report(*episodes: EpisodeRecord) -> SummaryRow:
    return summarize(episodes, ks=(1,))


@pytest.mark.parametrize(
    ("em", "reward", "against"),
    [(0, 1, True), (0, 2.5, True), (1, 0, True), (1, -1, True), (0, 0, False), (1, 1, False), (0, 0.9, False),
     (1, 0.02, False), (0, -1, False), (None, 1, False), (0, None, False), (0.5, 0, False)],
)  # fmt: skip
def test_opposite_ends_contradict_and_partial_rewards_do_not(
    em: float | None, reward: float | None, against: bool
) -> None:
    assert contradicts(em, reward) is against


def test_the_reward_is_a_mean_over_questions_and_contradictions_are_counted_over_rollouts() -> None:
    found = report(
        episode("q1", 0, em=0, reward=1),
        episode("q1", 1, em=0, reward=0),
        episode("q2", 0, em=1, reward=0),
        episode("q3", 0, em=0),
    )
    assert found["measures"]["reward"]["value"] == (0.5 + 0) / 2 and found["measures"]["reward"]["n"] == 2
    assert found["left_out"]["reward"] == 1
    assert found["reward_against_em"] == {"rollouts": 2, "of": 3, "share": 2 / 3, "rewarded": 1}


def test_without_rewards_or_contradictions_nothing_is_counted() -> None:
    assert "reward_against_em" not in report(episode(em=1, reward=1))
    absent = report(episode(em=1))
    assert absent["absent"]["reward"] == "no rewards are recorded" and "reward_against_em" not in absent


PAIRS = ("zero_variance", "query_similarity", "path_entropy", "semantic_query_entropy")


def test_single_rollouts_lack_a_second_one_and_not_their_own_data() -> None:
    absent = report(episode("q1", em=0, reward=1), episode("q2", em=0, reward=1))["absent"]
    assert {key: absent[key] for key in PAIRS} == dict.fromkeys(PAIRS, "samples per question: 1")


def test_what_is_not_recorded_comes_before_what_is_too_few() -> None:
    nothing = episode(unknown=["queries", "passages", "turns"], queries=())
    absent = report(nothing)["absent"]
    assert "do not list the passages" in absent["path_entropy"]
    assert absent["query_similarity"] == "the rollouts hold no queries"
    assert absent["zero_variance"] == "no rewards and no grades are recorded"


def test_rollouts_that_never_searched_say_so() -> None:
    absent = report(episode("q1", 0, queries=(), em=1), episode("q1", 1, queries=(), em=1))["absent"]
    for key in ("unique_query_ratio", "query_similarity", "semantic_query_entropy", "query_token_entropy"):
        assert absent[key] == "no rollout searched", key
    assert absent["redundancy"] == "no passage was shown"


def test_one_of_two_rollouts_searched() -> None:
    absent = report(episode("q1", 0), episode("q1", 1, queries=()))["absent"]
    assert absent["query_similarity"] == absent["semantic_query_entropy"] == "no question has two rollouts to compare"


def test_rewards_of_one_question_and_rollouts_of_another_make_no_pair() -> None:
    absent = report(episode("q1", 0, reward=1.0), episode("q2", 0), episode("q2", 1))["absent"]
    assert absent["zero_variance"] == "no question has two rollouts to compare"


def test_diversity_of_right_rollouts_needs_a_right_one() -> None:
    evidence = [[["p"]]]
    absent = report(episode("q1", 0, evidence=evidence, em=0), episode("q1", 1, evidence=evidence, em=0))["absent"]
    assert absent["diversity_given_quality"] == "no rollout is an exact match"
    assert "no evidence is known" in report(episode(em=1))["absent"]["breadth"]


def test_evidence_with_an_open_hop_has_no_breadth() -> None:
    absent = report(episode(evidence=[[["p"], []]], em=0))["absent"]
    assert absent["breadth"] == "no question has evidence for every hop"


def test_every_measure_that_is_absent_says_why() -> None:
    bare = episode(queries=(), unknown=["queries", "passages", "turns"])
    for found in (report(bare), report(episode()), report(episode("q1", 0, queries=()), episode("q1", 1, queries=()))):
        assert all(found["absent"].values())
        assert set(found["absent"]) <= set(MEASURES) | {"pass@1", "answers_distinct@1", "answers_distinct@2"}
