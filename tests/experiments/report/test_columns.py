"""Which columns a screen shows: the last table holds what says something about the arms at hand."""

from __future__ import annotations

import pytest
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.experiments.measures.arms_report import measure_arms
from berrypick.experiments.report.columns import MORE, blocks, column_notes

HEADING = "Queries, turns"


def rollouts(
    queries: list[str], turns: int = 1, *, passages: bool = True, loop: bool = False, **facts: float | None
) -> list[EpisodeRecord]:
    """Rollouts of six questions, as many for each as there are queries."""
    text = "no no no " * 400 if loop else "<search> x </search>"
    return [
        EpisodeRecord(
            question=QuestionRecord(id=f"q{number}", text="?", answers=["x"]),
            group_id=f"{number}",
            sample_index=sample,
            **{"em": float(sample == 0), **facts},
            turns=[
                TurnRecord(
                    text=text,
                    action="search",
                    queries=[query],
                    hits=[[HitRecord(id=query, score=1.0)]] if passages else [],
                )
            ]
            * turns,
            unknown=None if passages else ["passages"],
        )
        for number in range(6)
        for sample, query in enumerate(queries)
    ]


def more(**arms: list[EpisodeRecord]) -> tuple[str, ...]:
    return blocks(measure_arms(arms)).get(HEADING, ())


def test_arms_alike_have_no_further_table() -> None:
    same = rollouts(["red fox", "blue whale"])
    assert more(a=same) == () and more(a=same, b=same) == ()


def test_measures_in_which_arms_differ_are_shown() -> None:
    wide, narrow = rollouts(["red fox", "blue whale"]), rollouts(["red fox", "red fox"], turns=2)
    assert more(a=wide, b=narrow) == ("query_clusters", "query_similarity", "turns")


def test_faults_are_shown_where_they_happen() -> None:
    assert more(a=rollouts(["red fox", "blue whale"], loop=True)) == ("degenerate_text",)


def test_queries_are_compared_by_their_words_where_nothing_is_known_of_the_passages() -> None:
    assert more(a=rollouts(["red fox", "blue whale"], passages=False)) == ("query_clusters", "query_similarity")


@pytest.mark.parametrize("key", sorted(set(MORE) - {"turns"}))
def test_each_of_these_columns_is_explained(key: str) -> None:
    assert column_notes([key])


def accuracy(**facts: float | None) -> tuple[str, ...]:
    return blocks(measure_arms({"a": rollouts(["red fox", "blue whale"], **facts)}))["Accuracy"]


def test_rewards_have_a_column_where_they_differ_from_exact_match() -> None:
    assert accuracy()[:2] == accuracy(em=1.0, reward=1.0)[:2] == ("em", "f1")
    assert accuracy(em=1.0, reward=0.9)[:3] == ("em", "reward", "f1")
    assert accuracy(em=0.0, reward=1.0)[:4] == ("em", "reward", "sub_em", "f1")
    assert accuracy(em=None, reward=1.0)[:2] == ("em", "reward")


def test_to_finish_is_no_accuracy_where_nothing_is_graded() -> None:
    assert "finished" in accuracy() and more(a=rollouts(["red fox", "blue whale"])) == ()
    assert "finished" not in accuracy(em=None)
    assert more(a=rollouts(["red fox", "blue whale"], em=None)) == ("finished",)
