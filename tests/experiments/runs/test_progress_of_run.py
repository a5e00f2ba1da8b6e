"""How far a training run has come, from its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.experiments.runs.progress_of_run import unfinished


def checkpoint_of(folder: Path, name: str) -> None:
    (folder / "checkpoints" / name).mkdir(parents=True)
    (folder / "checkpoints" / name / "state.json").write_text("{}")


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        ("rl-000006", "6 of 40 RL steps"),
        ("rl-000040", ""),
        ("sft-000500", "500 of 520 SFT steps and 0 of 40 RL steps"),
        ("sft-000520", "520 of 520 SFT steps and 0 of 40 RL steps"),
    ],
)
def test_an_unfinished_run_is_named(tmp_path: Path, checkpoint: str, said: str) -> None:
    checkpoint_of(tmp_path, checkpoint)
    (tmp_path / "config.json").write_text(json.dumps({"sft": {"steps": 520}, "rl": {"steps": 40}}))
    assert unfinished(tmp_path) == said


@pytest.mark.parametrize("config", [{}, {"sft": 3, "rl": None}, {"rl": {"steps": "40"}}])
def test_a_config_of_another_program_says_nothing(tmp_path: Path, config: object) -> None:
    checkpoint_of(tmp_path, "rl-000006")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert unfinished(tmp_path) == ""


def test_sft_alone_ends_with_sft(tmp_path: Path) -> None:
    checkpoint_of(tmp_path, "sft-000020")
    (tmp_path / "config.json").write_text(json.dumps({"sft": {"steps": 20}, "rl": {"steps": 0}}))
    assert unfinished(tmp_path) == ""


def test_other_folders_are_no_runs(tmp_path: Path) -> None:
    assert unfinished(tmp_path) == "" and unfinished(tmp_path / "nothing") == ""
    (tmp_path / "checkpoints").mkdir()
    assert unfinished(tmp_path) == ""
