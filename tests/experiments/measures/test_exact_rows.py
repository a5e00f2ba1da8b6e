"""Exact values of World questions that can be worked out by hand, and the reasons why there are none."""

from __future__ import annotations

import pytest
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.experiments.measures.arms_report import measure_arms
from berrypick.experiments.measures.exact_rows import ExactRows, exact_rows

KINDS = ["ledger", "charter", "scroll"]


def rollout(name, present, *, budget=1, passages=1, **world):
    """A rollout that searched once."""
    facts = {"kinds": KINDS, "hops": 1, "budget": budget, "present": [present], "passages": [["a", "b", "c"]], **world}
    hits = [HitRecord(id=f"a{n}", score=1.0) for n in range(passages)]
    return EpisodeRecord(
        question=QuestionRecord(id=name, text="?", answers=["x"], metadata={"world": facts}),
        group_id=name,
        sample_index=0,
        turns=[TurnRecord(text="s", action="search", queries=["s"], hits=[hits])],
    )


def row(one, many, k, distance):
    return {"pass@1": one, "pass@1_plan": one, f"pass@{k}": many, f"pass@{k}_plan": many, "frontier_distance": distance}


def references_of(*rollouts, k=2):
    found = exact_rows(rollouts, k)
    assert isinstance(found, ExactRows)
    return {name: pytest.approx(values, abs=1e-5) for name, values in found.references.items()}


def test_one_question_whose_fact_one_kind_of_three_states():
    assert references_of(rollout("q", [0])) == {
        "uniform order": row(1 / 3, 1 - (2 / 3) ** 2, 2, 1 - (1 - (2 / 3) ** 2)),
        "ceiling": {"pass@2": 1.0},
        "frontier's top": row(1.0, 1.0, 2, 0.0),
    }


def test_two_questions_that_different_kinds_answer_and_one_that_none_does():
    # one query and no way to see which question has which kind: half and half has pass@2 = 3/4 on both
    rollouts = [rollout("q1", [0]), rollout("q2", [1]), rollout("q3", [])]
    uniform = (2 / 3 * 1 / 3, 2 / 3 * 5 / 9)
    assert references_of(*rollouts) == {
        "uniform order": row(*uniform, 2, 1 / 2 - uniform[1]),
        "ceiling": {"pass@2": pytest.approx(2 / 3)},
        "frontier's top": row(1 / 3, 1 / 2, 2, 0.0),
    }


def test_the_best_order_is_there_where_all_questions_have_one_availability():
    likely, unlikely = [0.1, 0.9, 0.5], [0.9, 0.1, 0.5]
    first, second = rollout("q1", [0], availability=likely), rollout("q2", [1], availability=likely)
    best = references_of(first, second)["best order"]
    assert best == row(1 / 2, 1 / 2, 2, 1 / 4), "kind 1 first solves the second question only"
    assert "best order" not in references_of(first, rollout("q2", [1], availability=unlikely))
    assert "best order" not in references_of(rollout("q1", [0]))


PLAYED = rollout("q1", [0], availability=[0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("rollouts", "reason"),
    [
        ([rollout("q1", [0]), rollout("q2", [0], budget=2)], "the questions come from Worlds of different shape"),
        ([rollout("q1", [0], passages=2)], "a query must bring one passage (top_k=1)"),
        ([PLAYED.model_copy(update={"spec": {"num_answers": 2, "top_k": 1}})], "one answer must be asked for"),
        (
            [rollout("q1", [0]), EpisodeRecord(question=QuestionRecord(id="q2", text="?", answers=["x"]),
                                               group_id="q2", sample_index=0, turns=[])],
            "it is defined for berrypick/World-v0",
        ),
    ],
)  # fmt: skip
def test_where_there_are_none_the_reason_is_one_line(rollouts, reason):
    found = exact_rows(rollouts, 2)
    assert isinstance(found, str)
    assert found.startswith("no exact frontier here: ") and reason in found


def test_the_frontier_is_written_as_its_points():
    found = exact_rows([rollout("q1", [0]), rollout("q2", [1])], 2)
    written = found.as_json()
    assert written["k"] == 2 and written["max_gap"] <= 1e-6
    assert written["points"] == [[point.pass_at_1, point.pass_at_k] for point in found.frontier.points]


@pytest.mark.parametrize(
    ("sizes", "k"),
    [([(1, 1)], 1), ([(4, 2)], 2), ([(4, 5)], 4), ([(9, 7)], 4), ([(4, 4), (3, 9)], 2), ([(9, 9), (8, 8)], 8)],
)
def test_the_frontier_of_arms_has_the_largest_k_that_every_question_of_every_arm_has_rollouts_for(sizes, k):
    arms = {
        f"arm {at}": [
            rollout(name, [0]).model_copy(update={"sample_index": sample})
            for name, size in zip(("q1", "q2"), arm)
            for sample in range(size)
        ]
        for at, arm in enumerate(sizes)
    }
    assert measure_arms(arms)["frontier"]["k"] == k


def test_arms_on_one_set_of_questions_have_exact_rows_and_others_say_why_not():
    one = [rollout("q1", [0]).model_copy(update={"em": 1.0})]
    both = [*one, rollout("q2", [1])]
    report = measure_arms({"a": one, "b": one})
    assert "uniform order" in report["references"] and "no_frontier" not in report
    assert "frontier_distance" in report["arms"]["a"]["measures"] and list(report["differences"]) == ["b - a"]
    apart = measure_arms({"a": one, "b": both})
    assert "these arms answered different ones" in apart["no_frontier"]
    assert "references" not in apart and "frontier_distance" not in apart["arms"]["a"]["measures"]


def test_rules_and_index_of_a_rollout_must_be_those_of_the_exact_values():
    fitting = {"top_k": 1, "max_turns": 2, "search_budget": 1}
    played = rollout("q1", [0], availability=[0.5, 0.5, 0.5])
    lexical = played.model_copy(update={"spec": fitting, "lexical": True})
    assert isinstance(exact_rows([lexical], 2), ExactRows)
    for update, reason in (
        ({"lexical": False}, "retrieval must be lexical"),
        ({"spec": fitting | {"search_budget": 2, "max_turns": 3}}, "search budget must be the world's"),
        ({"spec": fitting | {"max_turns": 1}}, "max_turns must be at least budget + 1"),
    ):
        assert reason in exact_rows([lexical, lexical.model_copy(update={**update, "sample_index": 1})], 2)


def test_questions_of_which_one_has_a_failing_format_have_no_exact_rows_whoever_played_them():
    sound, failing = rollout("q1", [0], format_failures=[0.0]), rollout("q2", [1], format_failures=[0.5])
    assert isinstance(exact_rows([sound], 2), ExactRows)
    for played in ([failing], [sound, failing]):
        assert "no query format may fail" in exact_rows(played, 2)
