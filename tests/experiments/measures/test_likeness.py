"""How alike arms are: by hand, with an encoder of one's own, in the report's JSON, on its screen and on its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, QuestionRecord, TurnRecord
from berrypick.experiments.measures.likeness import MOST_SAMPLES, likeness, word_vectors
from berrypick.experiments.measures.rollout import rollouts_of


def played(question: str, query: str, sample: int = 0) -> EpisodeRecord:
    turn = TurnRecord(text=query, action="search", queries=[query], hits=[[]])
    asked = QuestionRecord(id=question, text=question, answers=["x"])
    return EpisodeRecord(question=asked, group_id=question, sample_index=sample, turns=[turn], em=0.0)


def axes(texts):
    """The words k, l and m as unit vectors."""
    return np.stack([np.eye(3)["klm".index(text)] for text in texts])


def arm(**queries: str):
    return rollouts_of([played(q, text, at) for q, texts in queries.items() for at, text in enumerate(texts)])


def test_pairs_and_floor_by_hand():
    found = likeness({"one": arm(p="kkl", r="mm"), "two": arm(p="kl", r="kl")}, axes)
    assert list(found) == ["one", "two", "one | two"]
    one, two, both = found.values()
    # p: one of three pairs agrees; r: the only pair does
    assert one["alike"]["value"] == pytest.approx((1 / 3 + 1) / 2)
    assert one["floor"]["value"] == pytest.approx(0)
    assert one["high"]["value"] == pytest.approx(1 / 2)
    # p and r: no pair agrees; of two questions, half of the pairs do
    assert (two["alike"]["value"], two["floor"]["value"]) == pytest.approx((0, 1 / 2))
    assert two["above_floor"]["value"] == pytest.approx(-1 / 2)
    # p: kkl against kl, 3 of 6; r: m against kl, none
    assert both["alike"]["value"] == pytest.approx((1 / 2 + 0) / 2)
    # p of one against r of two: 3 of 6; r of one against p of two: none
    assert both["floor"]["value"] == pytest.approx((1 / 2 + 0) / 2)
    assert both["questions"] == 2


def test_single_rollouts_have_no_similarity_within_and_one_question_has_no_floor():
    found = likeness({"one": arm(p="k", r="l"), "two": arm(p="k", r="k")}, axes)
    assert "alike" not in found["one"] and found["one"]["floor"]["value"] == 0
    assert found["one | two"]["alike"]["value"] == pytest.approx(1 / 2)
    assert likeness({"one": arm(p="k"), "two": arm(p="k")}, axes) == {}
    assert likeness({"one": arm(p="k", r="k"), "two": arm(p="k", s="k")}, axes) == {}


def test_only_the_first_rollouts_of_a_question_are_compared():
    few, many = "k" * MOST_SAMPLES, "k" * MOST_SAMPLES + "llll"
    assert likeness({"one": arm(p=few, r="ll")}, axes) == likeness({"one": arm(p=many, r="ll")}, axes)


def test_words_of_all_texts_weigh_least():
    first, second, third = word_vectors(["the cat", "the cat", "the dog"])
    assert first @ second == pytest.approx(1) and 0 < first @ third < 1 / 2
    assert np.linalg.norm(third) == pytest.approx(1)


def test_a_report_of_two_arms_says_how_alike_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = ["--env", "berrypick/World-v0", "--env-arg", "num_train=2", "num_validation=0", "num_test=6"]
    paths = []
    for policy in ("random_order", "best_order"):
        paths.append(str(tmp_path / policy))
        assert main(["eval", *world, "--policy", policy, "--samples", "4", "--out", paths[-1]]) == 0
    capsys.readouterr()
    assert main(["report", *paths, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["likeness"]
    assert set(report) == {"random_order", "best_order", "random_order | best_order"}
    # the best order always asks in the same order, and no query has words of another question
    assert report["best_order"]["alike"]["value"] > report["random_order"]["alike"]["value"]
    assert all(row["floor"]["value"] < row["alike"]["value"] for row in report.values())
    assert main(["report", *paths, "--no-html"]) == 0
    screen = " ".join(capsys.readouterr().out.split())
    assert f"random_order | best_order {report['random_order | best_order']['alike']['value']:.2f}" in screen
    page = tmp_path / "page.html"
    assert main(["report", *paths, "--html", str(page)]) == 0
    capsys.readouterr()
    both, shown = report["random_order | best_order"], page.read_text(encoding="utf-8")
    row = re.findall(r"<tr><td>random_order and best_order</td>(.*?)</tr>", shown)[0]
    values = [float(value) for value in re.findall(r"<td>([-.\d]+)", row)]
    assert values == [round(both[key]["value"], 3) for key in ("alike", "floor", "above_floor", "high")]
    assert main(["report", paths[0], "--json"]) == 0
    assert "likeness" not in json.loads(capsys.readouterr().out)
    assert main(["report", paths[0], "--html", str(page)]) == 0
    assert "How alike are rollouts?" not in page.read_text(encoding="utf-8")


def test_runs_of_one_seed_are_no_more_alike_than_rollouts_within_each():
    # the same policy twice at one seed: sample for sample the same text
    same = {"p": "kl", "r": "kkl", "s": "mm"}
    found = likeness({"one": arm(**same), "again": arm(**same)}, axes)
    within, between = found["one"], found["one | again"]
    assert within["alike"]["value"] == pytest.approx((0 + 1 / 3 + 1) / 3)
    assert between["alike"] == within["alike"] and between["floor"] == within["floor"]
    # with one rollout each there is no other pair
    single = {"p": "k", "r": "l"}
    assert likeness({"one": arm(**single), "again": arm(**single)}, axes)["one | again"]["alike"]["value"] == 1


def test_the_interval_of_the_floor_is_that_of_a_mean_over_pairs_of_questions():
    # 28 questions have the text k and 12 l. Of two questions it is the same with (28 x 27 + 12 x 11) / (40 x 39). Given
    # one text that is about .7 or .3, which spreads by .4 sqrt(.7 x .3); as each question is in all pairs twice, the
    # mean spreads by twice that over sqrt(40)
    texts = {f"q{at}": "k" if at < 28 else "l" for at in range(40)}
    found = likeness({"one": arm(**texts), "two": arm(**texts)}, axes)
    spread = 2 * 0.4 * np.sqrt(0.21 / 40)
    for name in ("one", "one | two"):
        floor = found[name]["floor"]
        assert floor["value"] == pytest.approx((28 * 27 + 12 * 11) / (40 * 39))
        assert (floor["high"] - floor["low"]) / 2 == pytest.approx(1.96 * spread, rel=0.1)


def test_a_share_of_questions_is_above_a_mean_of_point_eight():
    vectors = {"k": [1.0, 0, 0], "l": [0.9, np.sqrt(1 - 0.9**2), 0], "m": [0.7, 0, np.sqrt(1 - 0.7**2)]}
    found = likeness({"one": arm(p="kl", r="km")}, lambda texts: np.array([vectors[text] for text in texts]))
    assert found["one"]["alike"]["value"] == pytest.approx((0.9 + 0.7) / 2)
    assert found["one"]["high"]["value"] == 1 / 2
    # k or l of p with k or m of r
    assert found["one"]["floor"]["value"] == pytest.approx((1 + 0.7 + 0.9 + 0.63) / 4)
    assert found["one"]["above_floor"]["value"] == pytest.approx(0.8 - 3.23 / 4)
