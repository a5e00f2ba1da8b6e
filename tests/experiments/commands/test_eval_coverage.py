"""An evaluation on a corpus says how far accuracy can go there, and so does each report on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.experiments.runs.run_folder import stored_json

CORPUS = [("a", "Ada", "Ada was born in London."), ("b", "Bo", "Bo was born in Oslo.")]
QUESTIONS = [("q1", "Where was Ada born?", "London"), ("q2", "Where was Cy born?", "Rome"), ("q3", "Is Bo Ada?", "no")]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    lines = [json.dumps({"id": key, "title": title, "text": text}) for key, title, text in CORPUS]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    lines = [json.dumps({"id": key, "question": text, "golden_answers": [gold]}) for key, text, gold in QUESTIONS]
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))
    return [f"corpus={tmp_path / 'corpus.jsonl'}", f"questions={tmp_path / 'questions.jsonl'}"]


def evaluate(files: list[str], out: Path, *more: str) -> int:
    words = ["--env", "berrypick/Custom-v0", "--env-arg", *files, "--policy", "question", "--samples", "1"]
    return main(["eval", *words, "--out", str(out), *more])


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


LINE = "Coverage bounds accuracy at 0.667: the answer of 1 of 3 questions is in no passage."
ROW = {"questions": 3, "open": 2, "found": 1, "bound": 1 - 1 / 3, "absent": ["q2"]}


def test_the_line_is_on_both_screens_and_its_numbers_in_the_json(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert evaluate(files, out) == 0
    assert LINE in shown(capsys)
    assert stored_json(out / "coverage.json") == ROW
    assert json.loads((out / "report.json").read_text())["coverage"] == {"run": ROW}
    assert main(["report", str(out), "--no-html"]) == 0
    text = shown(capsys)
    assert LINE in text and "2605.27881" in text and "berrypick index audit" in text
    assert main(["report", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["coverage"] == {"run": ROW}


def test_only_the_questions_that_are_played_count(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(files, tmp_path / "run", "--questions", "1", "--first") == 0
    assert "Coverage" not in shown(capsys)
    assert json.loads((tmp_path / "run" / "coverage.json").read_text())["bound"] == 1.0


@pytest.mark.parametrize(
    "value", ["{", "[]", '{"absent": []}', json.dumps(ROW | {"found": 7}), json.dumps(ROW | {"questions": "3"})]
)
def test_a_file_that_was_not_written_so_is_passed_over(
    value: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(files, tmp_path / "run") == 0
    (tmp_path / "run" / "coverage.json").write_text(value)
    capsys.readouterr()
    assert main(["report", str(tmp_path / "run"), "--no-html"]) == 0
    assert "Coverage" not in shown(capsys)


def test_a_world_and_a_control_have_none(files: list[str], tmp_path: Path) -> None:
    world = ["--env", "berrypick/World-v0", "--env-arg", "num_train=2", "num_test=2", "--policy", "random_order"]
    assert main(["eval", *world, "--samples", "1", "--out", str(tmp_path / "world")]) == 0
    assert evaluate(files, tmp_path / "closed", "--control", "empty") == 0
    assert not list(tmp_path.rglob("coverage.json"))
