"""Reports read one line at a time: no text is kept, and a page gets whole episodes of its first questions."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, QuestionRecord, TurnRecord, iter_records, write_records
from berrypick.experiments.measures import Group, measure_arms, register_measure
from berrypick.experiments.measures.measures import MEASURES
from berrypick.experiments.report.arms import load_arms, load_rollouts
from berrypick.experiments.report.episode_sample import EpisodeSample

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=6", "index=bm25s"]


def episode(question: str, sample: int) -> EpisodeRecord:
    turn = TurnRecord(text="<search> x </search>", action="search", queries=["x"], observation="seen")
    asked = QuestionRecord(id=question, text="?", answers=["x"])
    return EpisodeRecord(question=asked, group_id=question, sample_index=sample, turns=[turn])


def alive() -> int:
    """Records in memory."""
    gc.collect()
    return sum(type(thing) is EpisodeRecord for thing in gc.get_objects())


@pytest.mark.slow
def test_a_file_is_read_line_by_line_and_forgotten(tmp_path: Path) -> None:
    write_records(tmp_path / "r.jsonl", [episode("q", n) for n in range(6)])
    before, most = alive(), 0
    for _ in iter_records(tmp_path / "r.jsonl"):
        most = max(most, alive() - before)
    assert 1 <= most <= 2


def test_loaded_rollouts_keep_no_record(tmp_path: Path) -> None:
    write_records(tmp_path / "r.jsonl", [episode("q", n) for n in range(5)])
    (rollouts,) = load_rollouts([tmp_path / "r.jsonl"]).rollouts.values()
    assert [rollout.record for rollout in rollouts] == [None] * 5
    assert len({id(rollout.question) for rollout in rollouts}) == 1, "rollouts of one question share it"


def test_the_report_is_that_of_whole_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", *WORLD, "--policy", "random_order", "--samples", "4", "--out", str(tmp_path / "run")]) == 0
    streamed = measure_arms(load_rollouts([tmp_path / "run"]).rollouts)
    assert streamed == measure_arms(load_arms([tmp_path / "run"]))
    capsys.readouterr()


def test_a_users_measure_of_text_works_in_reports_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @register_measure("observed_chars", "observed characters", "count", "characters of observations")
    def observed_chars(group: Group) -> float | None:
        return float(sum(len(turn.observation) for record in group for turn in record.turns))

    write_records(tmp_path / "r.jsonl", [episode("q", n) for n in range(3)])
    try:
        assert main(["report", str(tmp_path / "r.jsonl"), "--json"]) == 0
    finally:
        del MEASURES["observed_chars"]
    measures = json.loads(capsys.readouterr().out)["arms"]["r.jsonl"]["measures"]
    assert measures["observed_chars"]["value"] == 12


def test_the_sample_is_the_first_questions_that_fit_in_any_order() -> None:
    names = ["d", "b", "e", "a", "c"]
    one = EpisodeSample(10**9)
    one.add(episode("a", 0))
    most = 7 * one.chars  # of three episodes each, those of two questions and a third of another
    for order in (names, names[::-1], sorted(names)):
        sample = EpisodeSample(most)
        for number in range(3):
            for name in order:
                sample.add(episode(name, number))
        kept = [(record.question.id, record.sample_index) for record in sample.episodes]
        assert kept == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]
        assert sample.chars == 6 * one.chars
    empty = EpisodeSample(0)
    empty.add(episode("a", 0))
    assert empty.episodes == []
