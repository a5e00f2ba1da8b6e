"""Rollouts are paired by question: equal ids of different questions pair nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, QuestionRecord, read_records, write_records
from berrypick.experiments.measures.arms_report import measure_arms
from berrypick.experiments.measures.paired import compare
from berrypick.experiments.measures.same_questions import QuestionCheck

WORLD = ["--env", "berrypick/World-v0", "--policy", "random_order", "--samples", "2"]
SIZES = ["--env-arg", "num_train=4", "num_validation=0", "num_test=4"]


def play(out: Path, *arguments: str) -> None:
    assert main(["eval", *WORLD, *SIZES, *arguments, "--out", str(out)]) == 0


def record(text: str, answers: list[str], sample: int = 0) -> EpisodeRecord:
    question = QuestionRecord(id="q1", text=text, answers=answers)
    return EpisodeRecord(question=question, group_id="g", sample_index=sample, turns=[], em=0.0)


@pytest.mark.parametrize("form", ["folders", "files"])
def test_evaluations_of_two_worlds_are_not_paired(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(tmp_path / "two")
    play(tmp_path / "one", "hops=1")
    paths = [tmp_path / "two", tmp_path / "one"]
    if form == "files":
        for path in paths:
            shutil.copy(path / "rollouts.jsonl", path.with_suffix(".jsonl"))
        paths = [path.with_suffix(".jsonl") for path in paths]
    capsys.readouterr()
    assert main(["report", *map(str, paths)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "different questions under equal ids (world-0-test-00000" in err
    assert ("hops: default and 1" in err) == (form == "folders")


def test_a_file_in_which_one_id_is_two_questions_is_no_arm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    play(tmp_path / "two")
    play(tmp_path / "one", "hops=1", "--seed", "1")
    both = tmp_path / "both.jsonl"
    for name in ("two", "one"):
        write_records(both, read_records(tmp_path / name / "rollouts.jsonl"))
    capsys.readouterr()
    assert main(["report", str(both)]) == 2
    assert "both.jsonl twice" in capsys.readouterr().err


def test_worlds_that_differ_in_the_budget_alone_ask_the_same_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(tmp_path / "three")
    play(tmp_path / "five", "budget=5")
    assert main(["report", str(tmp_path / "three"), str(tmp_path / "five"), "--json"]) == 0


@pytest.mark.parametrize("other", [record("who else?", ["Ada"]), record("who?", ["Bo"])])
def test_questions_differ_in_text_or_in_answers(other: EpisodeRecord) -> None:
    first = [record("who?", ["Ada", "A."])]
    assert compare(first, [record(" who? ", ["A.", "Ada"])])["num_shared"] == 1
    with pytest.raises(BerrypickError, match="different questions under equal ids"):
        compare(first, [other])


def test_the_settings_that_differ_are_named_in_order() -> None:
    settings = {"a": {"hops": 1, "seed": 4, "budget": 2}, "b": {"seed": 4, "voice": "x"}}
    check = QuestionCheck(settings)
    check.add("a", record("who?", ["Ada"]).question)
    check.add("b", record("who? ", ["Ada"]).question)
    with pytest.raises(BerrypickError) as caught:
        check.add("b", record("when?", ["Ada"]).question)
    assert "(q1 is in a and b; budget: 2 and default; hops: 1 and default; voice: default and x)" in str(caught.value)
    for known in ({"a": {"hops": 1}}, {"b": {"hops": 1}}, None):
        other = QuestionCheck(known)
        other.add("a", record("who?", ["Ada"]).question)
        with pytest.raises(BerrypickError, match=r"q1 is in a and b\)"):
            other.add("b", record("when?", ["Ada"]).question)
        with pytest.raises(BerrypickError, match=r"q1 is in a twice\)"):
            other.add("a", record("when?", ["Ada"]).question)


def test_arms_in_which_one_id_is_two_questions_are_not_measured() -> None:
    with pytest.raises(BerrypickError, match="q1 is in a twice"):
        measure_arms({"a": [record("who?", ["Ada"]), record("when?", ["Ada"], 1)]})
