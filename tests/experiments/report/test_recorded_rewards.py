"""Rollouts of another project whose judge disagrees with exact match: screen, page and JSON say which is which."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, QuestionRecord, TurnRecord, write_records
from berrypick.experiments.report.notes import contradiction_lines

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "trajectories"
FINANCE = SHARED / "nemo_gym_finance_sec_search_rollouts.jsonl"
GOOGLE = SHARED / "nemo_gym_google_search_rollouts.jsonl"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["report", *words]) == 0
    return " ".join(capsys.readouterr().out.split())


def judged(folder: Path, *, em: float, reward: float, num: int = 4) -> Path:
    file = folder / "judged.jsonl"
    records = [
        EpisodeRecord(
            question=QuestionRecord(id=f"q{at}", text="?", answers=["fig"]),
            group_id=f"q{at}",
            sample_index=0,
            turns=[TurnRecord(text="it is a fig", action="answer")],
            answer_raw="it is a fig",
            answer_norm="it is fig",
            em=em,
            f1=0.5,
            sub_em=1.0,
            reward=reward,
            terminated=True,
        )
        for at in range(num)
    ]
    write_records(file, records)
    return file


def test_the_screen_the_page_and_the_json_say_that_the_reward_contradicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, page = judged(tmp_path, em=0.0, reward=1.0), tmp_path / "page.html"
    screen = said(capsys, str(file), "--html", str(page))
    line = (
        "judged.jsonl: recorded rewards and exact match contradict each other in 4 of 4 rollouts (100 %): mean reward "
        "1.000, EM 0.000. EM wants the accepted answer and not a word more; where answers are sentences, read the "
        "recorded reward or the substring match (1.000). berrypick rescore scores them anew (--reward sub_em, "
        "--questions FILE)."
    )
    # z² / (4 + z²) = 3.8415 / 7.8415 = .490
    sentence = (
        "By exact match judged.jsonl answers 0.0 of 100 questions right at once (95 % interval 0.0 to 49.0), but the "
        "recorded rewards contradict that in 4 of 4 rollouts: their mean is 1.000."
    )
    text = " ".join(re.sub("<[^>]*>", " ", page.read_text(encoding="utf-8")).replace("\u00a0", " ").split())
    for shown in (screen, text):
        assert line in shown and sentence in shown
    assert "EM rec. reward contains F1" in screen and "0.000 ≤.490 1.000 – 1.000 ≥.510 0.500 –" in screen
    assert "recorded reward mean of the rewards" in text
    arm = json.loads(said(capsys, str(file), "--json"))["arms"]["judged.jsonl"]
    assert arm["reward_against_em"] == {"rollouts": 4, "of": 4, "share": 1.0, "rewarded": 4}
    assert arm["measures"]["reward"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 4}


def test_a_match_without_a_reward_is_said_in_other_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = said(capsys, str(judged(tmp_path, em=1.0, reward=0.0)), "--no-html")
    assert "These match and have no reward: it asks for more than the answer." in screen
    assert "substring match (" not in screen


def test_rewards_that_equal_exact_match_change_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = said(capsys, str(judged(tmp_path, em=1.0, reward=1.0)), "--no-html")
    assert "rec. reward" not in screen and "contradict" not in screen
    assert "judged.jsonl answers 100.0 of 100 questions right at once (95 % interval 51.0 to 100.0)." in screen
    assert contradiction_lines({}) == []


@pytest.mark.skipif(not FINANCE.is_file(), reason="../shared/data is not here")
def test_a_judge_of_paragraphs_is_believed_as_much_as_exact_match(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = said(capsys, str(FINANCE), "--html", str(tmp_path / "page.html"))
    assert "in 5 of 5 rollouts (100 %): mean reward 1.000, EM 0.000" in screen
    assert "or the substring match (0.800)" in screen
    assert "0.0 of 100 questions right at once (95 % interval 0.0 to 43.4), but the recorded rewards" in screen
    assert "44.0 [2.0, 123.0]" in screen and "±.000" not in screen
    absent = json.loads(said(capsys, str(FINANCE), "--json"))["arms"][FINANCE.name]["absent"]
    for key in ("zero_variance", "query_similarity", "path_entropy", "semantic_query_entropy"):
        assert absent[key] == "samples per question: 1"


@pytest.mark.skipif(not GOOGLE.is_file(), reason="../shared/data is not here")
def test_rewards_without_right_answers_are_shown_and_to_finish_is_no_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = said(capsys, str(GOOGLE), "--no-html")
    assert "how often it is right cannot be said; their mean recorded reward is 0.400." in screen
    assert re.search(r"Accuracy rec\. reward ─+ \S+ 0\.400 ±\.400", screen)
    assert re.search(r"Queries, turns finished ─+ \S+ 1\.000 ≥\.566", screen)
