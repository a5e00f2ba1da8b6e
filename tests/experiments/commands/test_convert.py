"""`berrypick report` and `berrypick convert` on rollouts of other systems."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.importers import IMPORTERS, open_rollouts
from berrypick.envs.record import read_records
from fixtures.foreign_rollouts import ROWS, TEXTS

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=6"]


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main([str(word) for word in words])
    return status, *capsys.readouterr()


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "40.jsonl"
    wrong = ROWS["verl"] | {"output": "<answer> 1800 </answer>", "score": 0.0}
    path.write_text("\n".join([json.dumps(ROWS["verl"]), "{", json.dumps(wrong), *["[]"] * 8]))
    return path


def test_report_measures_a_dump_and_says_what_it_saw(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "report", dump, "--json")
    report = json.loads(out)
    arm = report["arms"]["40.jsonl"]
    assert status == 0 and report["lines_left_out"] == 9
    assert arm["measures"]["pass@1"]["value"] == 0.5 and arm["measures"]["pass@2"]["value"] == 1.0
    assert arm["measures"]["searches"]["value"] == 0.5
    assert arm["absent"]["breadth"] == "the dump does not say which passages are relevant"
    lines = err.splitlines()
    assert lines[0] == f"{dump}: verl dump: 2 rollouts of 1 question; group from uid; 9 lines left out"
    assert len(lines) == 1 + 5 + 1 and lines[1].startswith(f"skipped {dump}:2: not valid JSON")
    assert lines[-1] == "9 lines skipped"
    status, out, err = run(capsys, "report", dump, "--strict")
    assert (status, out) == (2, "") and err.count("\n") == 1 and f"{dump}:2: not valid JSON" in err


def test_rollouts_without_right_answers_have_no_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.txt"
    path.write_text(TEXTS["longcat"] * 2)
    status, out, _ = run(capsys, "report", path, "--json")
    arm = json.loads(out)["arms"]["log.txt"]
    assert status == 0 and arm["num_episodes"] == 2 and arm["measures"]["searches"]["value"] == 1.0
    graded = {"em", "f1", "pass@1", "pass@2", "effective_diversity", "diversity_given_quality"}
    assert not graded & arm["measures"].keys() and graded <= arm["absent"].keys()
    assert arm["absent"]["em"] == "the log holds no right answers"


def test_what_a_mapping_does_not_tell_is_absent_not_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text('{"prompt": "2 + 3 ?", "out": "5", "label": 5}\n' * 2)
    status, out, err = run(capsys, "report", path, "--map", "question=prompt", "answer=out", "gold=label", "--json")
    arm = json.loads(out)["arms"]["o.jsonl"]
    assert status == 0 and "mapped fields: 2 rollouts of 1 question; group from equal prompts" in err
    assert arm["measures"]["pass@1"]["value"] == 1.0 and arm["measures"]["finished"]["value"] == 1.0
    unknown = {"searches", "valid_actions", "distinct_passages", "path_entropy", "redundancy", "unique_query_ratio"}
    assert not unknown & arm["measures"].keys() and unknown <= arm["absent"].keys()
    status, _, err = run(capsys, "report", path)
    assert status == 2 and "--map question=FIELD" in err and err.count("\n") == 1
    status, _, err = run(capsys, "report", path, "--map", "question")
    assert status == 2 and "--map takes OURS=THEIRS, got 'question'" in err


def test_report_takes_the_format_of_a_users_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my_importer.py").write_text(
        "from berrypick.envs.importers import Rollout, register_importer\n"
        "@register_importer('lines', title='my lines', recognise=lambda row: 'line' in row)\n"
        "def read(row):\n"
        "    return Rollout(row['line'], ['a'], answer='a')\n"
    )
    (tmp_path / "x.jsonl").write_text('{"line": "which letter?"}\n')
    try:
        status, out, err = run(capsys, "report", tmp_path / "x.jsonl", "--format", f"{tmp_path}/my_importer.py:lines")
    finally:
        IMPORTERS.pop("lines", None)  # other tests read the registry
    assert status == 0 and "my lines: 1 rollout of 1 question" in err and "EM" in out


@pytest.mark.parametrize("name", ["rollouts.jsonl", "rollouts.jsonl.gz"])
def test_convert_to_our_format(dump: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / name
    status, said, err = run(capsys, "convert", dump, "--out", out)
    assert (status, said) == (0, f"2 rollouts in {out}\n") and "9 lines skipped" in err
    assert read_records(out) == list(open_rollouts(dump).records())
    before = out.read_bytes()
    status, _, err = run(capsys, "convert", dump, "--out", out)
    assert status == 2 and f"{out} exists; give another --out, or --force" in err
    assert run(capsys, "convert", dump, "--out", out, "--force")[0] == 0 and out.read_bytes() == before
    status, _, err = run(capsys, "convert", dump, "--out", tmp_path / "strict", "--strict")
    assert status == 2 and sorted(path.name for path in tmp_path.iterdir()) == ["40.jsonl", "new"]
    status, _, err = run(capsys, "convert", dump, "--out", dump, "--force")
    assert status == 2 and "is the file that is converted" in err


def test_a_run_comes_back_from_atif_with_all_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    played, there, back = tmp_path / "run" / "rollouts.jsonl", tmp_path / "t.atif.gz", tmp_path / "back.jsonl"
    words = ["eval", *WORLD, "--policy", "random_order", "--samples", "4", "--out", played.parent]
    assert run(capsys, *words)[0] == 0
    assert run(capsys, "convert", played, "--to", "atif", "--out", there)[0] == 0
    trajectory = json.loads(gzip.decompress(there.read_bytes()).splitlines()[0])
    assert trajectory["schema_version"] == "ATIF-v1.7" and trajectory["agent"]["name"] == "random_order"
    assert [step["step_id"] for step in trajectory["steps"]] == list(range(1, len(trajectory["steps"]) + 1))
    assert {step["source"] for step in trajectory["steps"]} == {"user", "agent"}
    assert run(capsys, "convert", there, "--out", back)[0] == 0
    assert read_records(back) == read_records(played) and back.read_bytes() == played.read_bytes()
    reports = [json.loads(run(capsys, "report", path, "--json")[1]) for path in (played, there)]
    (one,), (two,) = (list(report["arms"].values()) for report in reports)
    assert one["measures"] == two["measures"] and one["absent"].keys() == two["absent"].keys()


@pytest.mark.parametrize("name", [*ROWS, *TEXTS])
def test_every_format_comes_back_from_atif(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, there = tmp_path / "theirs", tmp_path / "atif.jsonl"
    theirs.write_text(TEXTS.get(name) or json.dumps(ROWS[name]).replace("Babbage", "Bab\\ud800bage"))
    assert run(capsys, "convert", theirs, "--to", "atif", "--out", there)[0] == 0
    assert list(open_rollouts(there).records()) == list(open_rollouts(theirs).records())
