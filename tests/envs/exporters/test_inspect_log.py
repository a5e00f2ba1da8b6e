"""A log for Inspect holds the whole record. That Inspect reads it is tested in tests/adapters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.importers import open_rollouts
from berrypick.envs.record import read_records
from fixtures.foreign_rollouts import ROWS, TEXTS

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=6"]


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main([str(word) for word in words])
    return status, *capsys.readouterr()


@pytest.fixture
def played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    words = ["eval", *WORLD, "--policy", "random_order", "--samples", "3", "--out", tmp_path / "run"]
    assert run(capsys, *words)[0] == 0
    return tmp_path / "run" / "rollouts.jsonl"


def test_a_run_comes_back_from_inspect_as_it_was(
    played: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, back = tmp_path / "log.json", tmp_path / "back.jsonl"
    assert run(capsys, "convert", played, "--to", "inspect", "--out", there) == (0, f"18 rollouts in {there}\n", "")
    log = json.loads(there.read_text())
    assert [(s["id"], s["epoch"]) for s in log["samples"][:4]][1:] == [
        (log["samples"][0]["id"], 2), (log["samples"][0]["id"], 3), (log["samples"][3]["id"], 1),
    ]  # fmt: skip
    assert log["eval"]["task"] == "berrypick/World-v0" and log["eval"]["model"] == "random_order"
    assert log["eval"]["config"] == {"epochs": 3} and log["results"]["total_samples"] == 18
    assert run(capsys, "convert", there, "--out", back)[0] == 0
    assert read_records(back) == read_records(played) and back.read_bytes() == played.read_bytes()
    before = there.read_bytes()
    assert run(capsys, "convert", played, "--to", "inspect", "--out", there, "--force")[0] == 0
    assert there.read_bytes() == before
    reports = [json.loads(run(capsys, "report", path, "--json")[1]) for path in (played, there)]
    (one,), (two,) = (list(report["arms"].values()) for report in reports)
    assert one["measures"] == two["measures"]
    scores = {score["name"]: score["metrics"] for score in log["results"]["scores"]}
    assert scores["em"]["mean"]["value"] == pytest.approx(one["measures"]["pass@1"]["value"])


@pytest.mark.parametrize("name", [*ROWS, *TEXTS])
def test_every_format_comes_back_from_inspect(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, there = tmp_path / "theirs", tmp_path / "log.json"
    theirs.write_text(TEXTS.get(name) or json.dumps(ROWS[name]))
    assert run(capsys, "convert", theirs, "--to", "inspect", "--out", there)[0] == 0
    assert list(open_rollouts(there).records()) == list(open_rollouts(theirs).records())


def test_what_inspect_could_not_read_is_not_written(
    played: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("log.jsonl", "log", "log.json.gz"):
        status, _, err = run(capsys, "convert", played, "--to", "inspect", "--out", tmp_path / name)
        assert status == 2 and "ends with .json; give --out" in err and not (tmp_path / name).exists()
    cut = tmp_path / "cut.jsonl"
    line = json.loads(played.read_text().splitlines()[0])
    line.pop("sha256")
    line["question"]["text"] = "half \ud83d"
    cut.write_text(json.dumps(line))
    assert run(capsys, "convert", cut, "--to", "inspect", "--out", tmp_path / "log.json")[0] == 0
    (sample,) = json.loads((tmp_path / "log.json").read_text())["samples"]
    assert sample["input"] == "half \ufffd"


def test_a_damaged_record_in_a_log_is_left_out_with_the_reason(
    played: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "log.json"
    assert run(capsys, "convert", played, "--to", "inspect", "--out", there)[0] == 0
    log = json.loads(there.read_text())
    del log["samples"][0]["metadata"]["berrypick"]["group_id"]
    log["samples"][1]["messages"] = log["samples"][1]["messages"][:1]
    there.write_text(json.dumps(log, indent=1))
    status, out, err = run(capsys, "report", there, "--json")
    assert status == 0 and json.loads(out)["lines_left_out"] == 1
    assert "group_id" in err


@pytest.mark.parametrize(("to", "cure"), [("trec", "lists the passages"), ("qrels", "has evidence")])
def test_what_cannot_be_a_run_says_why(tmp_path: Path, to: str, cure: str, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps(ROWS["openai-chat"]) if to == "qrels" else '{"p": "2 + 3 ?", "o": "5", "l": 5}\n')
    words = ["--map", "question=p", "answer=o", "gold=l"] if to == "trec" else []
    status, out, err = run(capsys, "convert", bare, "--to", to, "--out", tmp_path / "x", *words)
    assert (status, out) == (2, "") and cure in err and not (tmp_path / "x").exists()


def test_a_run_and_its_judgements_name_the_same_topics(
    played: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_file, qrels = tmp_path / "searches.run", tmp_path / "searches.qrels"
    assert run(capsys, "convert", played, "--to", "trec", "--out", run_file)[0] == 0
    assert run(capsys, "convert", played, "--to", "qrels", "--out", qrels)[0] == 0
    topics = [{line.split()[0] for line in path.read_text().splitlines()} for path in (run_file, qrels)]
    assert topics[0] and topics[0] <= topics[1]
    assert len(topics[1]) == sum(len(record.queries) for record in read_records(played))
