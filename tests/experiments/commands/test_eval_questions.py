"""Which questions `berrypick eval` plays: drawn with the seed, the first ones, or those that training held out."""

from __future__ import annotations

from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import read_records
from fixtures.films import films_folder

pytestmark = pytest.mark.filterwarnings("ignore")


def asked(folder: Path, out: Path, *flags: str) -> list[str]:
    films_folder(folder)
    files = [f"{name}={folder / name}.jsonl" for name in ("corpus", "questions")]
    command = ["eval", "--env", "berrypick/Custom-v0", "--env-arg", *files, "--policy", "bridge", "--samples", "1"]
    assert main([*command, "--no-html", "--out", str(out), *flags]) == 0
    return [record.question.id for record in read_records(out / "rollouts.jsonl")]


def test_questions_are_drawn_with_the_seed_unless_the_first_are_asked_for(tmp_path: Path) -> None:
    drawn = {
        seed: asked(tmp_path, tmp_path / f"s{seed}", "--split", "train", "--questions", "2", "--seed", str(seed))
        for seed in range(6)
    }
    assert len({tuple(ids) for ids in drawn.values()}) > 1
    assert all(ids == sorted(ids) and len(ids) == 2 for ids in drawn.values())  # in the order of the file
    assert drawn[0] == asked(tmp_path, tmp_path / "again", "--split", "train", "--questions", "2", "--seed", "0")
    assert asked(tmp_path, tmp_path / "first", "--split", "train", "--questions", "2", "--first") == ["q1", "q2"]


def test_held_out_questions_are_those_of_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = asked(tmp_path, tmp_path / "held", "--holdout", "2")
    more = asked(tmp_path, tmp_path / "more", "--holdout", "3")
    assert len(held) == 2 and set(held) < set(more)
    capsys.readouterr()
    command = [
        "eval",
        "--env",
        "berrypick/World-v0",
        "--policy",
        "oracle",
        "--holdout",
        "2",
        "--out",
        str(tmp_path / "w"),
    ]
    assert main(command) == 2
    assert "--holdout is for corpora" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
