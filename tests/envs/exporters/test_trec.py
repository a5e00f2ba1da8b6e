"""TREC runs keep the order that a query was shown, whatever the scores."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.envs.exporters import qrels_lines, run_lines
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord

pytest.importorskip("hypothesis")

import itertools

from hypothesis import given
from hypothesis import strategies as st


def search(*rankings: list[HitRecord], error: str | None = None) -> TurnRecord:
    queries = [f"q{number}" for number in range(len(rankings))]
    return TurnRecord(text="", action="search", queries=queries, hits=list(rankings), error=error)


def episode(turns: list[TurnRecord], question_id: str = "q 1", sample: int = 0, policy: str = "p") -> EpisodeRecord:
    question = QuestionRecord(id=question_id, text="?", answers=["a"], evidence=[[["x", "y"], ["z w"]], [["v"]]])
    return EpisodeRecord(question=question, group_id="g", sample_index=sample, turns=turns, policy_id=policy)


def test_each_query_of_each_rollout_is_a_topic() -> None:
    one, two = HitRecord(id="x", score=2.5), HitRecord(id="a\tb", score=1.0)
    played = [
        episode([search([one, two], [two]), search([one], error="over budget"), search([])], policy="my policy"),
        episode([TurnRecord(text="", action="answer")], sample=1),
        episode([search([one])], sample=2, policy=""),
        episode([search([two])], question_id="q/2"),
    ]
    assert list(run_lines(played)) == [
        "q%201/1/1 Q0 x 1 2.5 my%20policy\n",
        "q%201/1/1 Q0 a%09b 2 1 my%20policy\n",
        "q%201/1/2 Q0 a%09b 1 1 my%20policy\n",
        "q%201/3/1 Q0 x 1 2.5 berrypick\n",
        "q/2/1/1 Q0 a%09b 1 1 p\n",
    ]
    topics = ["q%201/1/1", "q%201/1/2", "q%201/1/3", "q%201/3/1", "q/2/1/1"]
    assert list(qrels_lines(played)) == [f"{topic} 0 {key} 1\n" for topic in topics for key in ("v", "x", "y", "z%20w")]


def test_a_passage_that_is_listed_twice_counts_once_where_it_came_first() -> None:
    hits = [HitRecord(id=key, score=score) for key, score in (("a", 3.0), ("b", 2.0), ("a", 1.0), ("c", 0.5))]
    fields = [line.split() for line in run_lines([episode([search(hits)])])]
    assert [(line[2], line[3], line[4]) for line in fields] == [("a", "1", "3"), ("b", "2", "2"), ("c", "3", "0.5")]


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, width=64)), min_size=1, max_size=12))
def test_scores_fall_strictly_in_single_precision_and_stay_where_they_can(scores: list[float | None]) -> None:
    hits = [HitRecord(id=str(number), score=score) for number, score in enumerate(scores)]
    fields = [line.split() for line in run_lines([episode([search(hits)])])]
    assert [line[2] for line in fields] == [hit.id for hit in hits]
    written = [np.float32(line[4]) for line in fields]
    assert all(np.isfinite(written)) and all(a > b for a, b in itertools.pairwise(written))
    with np.errstate(over="ignore"):
        given_scores = [np.float32(score) for score in scores if score is not None]
    if len(given_scores) == len(scores) and np.isfinite(given_scores).all() and (np.diff(given_scores) < 0).all():
        assert written == given_scores
