"""Folders in the wrong place: the line says what they are and what works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.__main__ import main

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=4"]


def folder(path: Path, **documents: object) -> Path:
    path.mkdir()
    for name, document in documents.items():
        (path / f"{name}.json").write_text(json.dumps(document))
    return path


def report(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["report", *map(str, words)])
    return status, *capsys.readouterr()


def test_the_folder_of_an_experiment_shows_its_own_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = {"experiment": "diversity_tax", "text": "all claims\n\x1b[31mverdicts"}
    run = folder(tmp_path / "r1", config={"command": "run", "experiment": "diversity_tax"}, report=stored)
    assert report(capsys, run) == (0, "all claims\n\\u001b[31mverdicts\n", "")
    status, out, _ = report(capsys, run, "--json")
    assert status == 0 and json.loads(out) == stored
    page = tmp_path / "page.html"
    assert report(capsys, run, "--html", page)[0] == 2 and not page.exists()
    status, out, err = report(capsys, run, run)
    assert (status, out) == (2, "") and f"show it alone: berrypick report {run}" in err


@pytest.mark.parametrize(
    ("config", "cure"),
    [
        ({"env": "berrypick/World-v0", "rl": {}}, "berrypick eval --policy {} --env berrypick/World-v0 --out NEW"),
        ({"command": "run", "experiment": "real_corpora"}, "berrypick run real_corpora --out {}"),
        ({"command": "eval"}, "--resume"),
        ({}, "give a folder of berrypick eval"),
        ([], "give a folder of berrypick eval"),
    ],
)
def test_a_folder_without_rollouts_is_told_what_works(
    config: object, cure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = folder(tmp_path / "t1", config=config)
    status, out, err = report(capsys, place)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert cure.format(place) in err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("e1", "no weights in e1"),
        (".", "no weights in ."),
        ("./nosuchdir", "no such folder: ./nosuchdir"),
        ("/nosuchdir", "no such folder: /nosuchdir"),
        ("a/b/c", "no such folder: a/b/c"),
        ("nosuchdir/", "no such folder: nosuchdir/"),
        ("notes.txt", "notes.txt is a file but not a .gguf file"),
        ("nowhere/to/be.gguf", "no such file: nowhere/to/be.gguf"),
    ],
)
def test_a_policy_that_is_no_weights_is_told_why(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "e1", config={"command": "eval"})
    (tmp_path / "notes.txt").write_text("years of work")
    assert main(["eval", *WORLD, "--policy", name, "--out", "run"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and reason in err
    assert not (tmp_path / "run").exists()
