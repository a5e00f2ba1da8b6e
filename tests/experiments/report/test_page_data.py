"""The data of a page: bounded in size, each text once, and honest about what is left out."""

from __future__ import annotations

import base64
import json
import random
import zlib

import pytest
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.experiments.report.packed_episode import PackedEpisode
from berrypick.experiments.report.page_data import page_data
from hypothesis import given
from hypothesis import strategies as st


def episode(question: str, sample: int, observation: str, text: str = "<search> fig </search>") -> EpisodeRecord:
    turn = TurnRecord(
        text=text, action="search", queries=["fig"], hits=[[HitRecord(id="p1", score=1.0)]], observation=observation
    )
    return EpisodeRecord(
        question=QuestionRecord(id=question, text=f"who is {question} ?", answers=["fig"], evidence=[[["p1"]]]),
        group_id=question,
        sample_index=sample,
        turns=[turn],
    )


def test_episodes_are_in_the_order_of_questions_and_ungraded_ones_have_no_result() -> None:
    arms = {"a": [episode("q2", 1, ""), episode("q1", 0, ""), episode("q2", 0, "")], "b": [episode("q1", 0, "")]}
    data = json.loads(page_data(arms).json)
    rows = [(data["questions"][q][0], arm, sample, result) for q, arm, sample, result, *_ in data["episodes"]]
    assert rows == [("q2", 0, 0, -1), ("q2", 0, 1, -1), ("q1", 0, 0, -1), ("q1", 1, 0, -1)]


@given(st.lists(st.text(max_size=60), max_size=4))
def test_an_observation_is_put_together_again_from_its_parts(lines: list[str]) -> None:
    from berrypick.retrieval_index.plain_text import safe_text

    observation = "\n<information> " + "\n".join(f"[{n}] {line}" for n, line in enumerate(lines)) + " </information>\n"
    data = json.loads(page_data({"a": [episode("q", 0, observation)]}).json)
    parts = data["episodes"][0][6][0][4]
    assert "".join(data["texts"][at] for at in parts) == safe_text(observation)


def test_a_passage_that_is_shown_often_is_stored_once_at_whatever_rank() -> None:
    passage = "a long passage " + "word " * 120
    shown = ["[1] other\n[2] " + passage, "[1] " + passage, "Doc 3(Title: x)\n" + passage]
    one, three = (page_data({"a": [episode("q", s, text) for s, text in enumerate(shown[:n])]}) for n in (1, 3))
    assert len(three.json) - len(one.json) < 400
    assert three.json.count("a long passage") == 1


def test_texts_are_cut_first_and_then_the_last_episodes_are_left_out() -> None:
    arms = {"a": [episode(f"q{n}", 0, "", text=f"{n} " + "x" * 3000) for n in range(20)]}
    whole = page_data(arms)
    assert (whole.text_limit, whole.texts_cut, whole.kept, whole.total) == (20_000, False, 20, 20)
    cut = page_data(arms, most_bytes=30_000)
    assert (cut.text_limit, cut.texts_cut, cut.kept) == (1_000, True, 20)
    assert "more characters]" in cut.json
    few = page_data(arms, most_bytes=5_000)
    assert few.text_limit == 300 and 0 < few.kept < 20
    kept = json.loads(few.json)
    assert [kept["questions"][row[0]][0] for row in kept["episodes"]] == [f"q{n}" for n in range(few.kept)]


@pytest.mark.parametrize("most_bytes", [0, 700, 2_000, 10_000])
def test_the_bound_holds(most_bytes: int) -> None:
    arms = {"a": [episode(f"q{n}", 0, "", text=f"{n} " + "<é>" * 400) for n in range(9)]}
    data = page_data(arms, most_bytes=most_bytes)
    assert len(data.json) <= most_bytes + 200
    assert json.loads(data.json)["arms"]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_a_packed_episode_makes_the_same_page(texts: list[str]) -> None:
    records = [episode(f"q{at % 2}", at, text, text=f"{text}!") for at, text in enumerate(texts)]
    records[0].turns[0].error, records[0].em, records[0].answer_raw = "no reply", 1.0, "fig"
    data = page_data({"a": records})
    assert page_data({"a": [PackedEpisode(record) for record in records]}) == data
    assert zlib.decompress(base64.b64decode(data.packed)).decode() == data.json


def test_texts_that_hardly_compress_leave_room_for_fewer_episodes() -> None:
    noise = random.Random(0)
    arms = {"a": [episode(f"q{n}", 0, "", text=noise.randbytes(3000).hex()) for n in range(40)]}
    whole = page_data(arms)
    small = page_data(arms, most_packed=len(whole.packed) // 3)
    assert len(small.packed) <= len(whole.packed) // 3
    assert small.texts_cut or small.kept < whole.kept
