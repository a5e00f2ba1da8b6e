"""How far a training run has come, from its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.experiments.report.notes import trained_lines
from berrypick.experiments.runs.progress_of_run import trained_by, unfinished
from berrypick.experiments.runs.run_folder import write_json


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


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"rl": {"objective": "darling:floor=0.1", "steps": 40}}, "darling:floor=0.1, 40 steps of RL"),
        ({"rl": {"objective": "grpo", "steps": 1}}, "grpo, 1 step of RL"),
        ({"rl": {"objective": "grpo", "steps": 0}}, ""),
        ({"rl": None}, ""),
        (None, ""),
    ],
)
def test_the_objective_and_the_steps_of_the_run_that_was_evaluated(tmp_path, training, said):
    run, evaluation = tmp_path / "run", tmp_path / "test"
    run.mkdir()
    evaluation.mkdir()
    if training is not None:
        write_json(run / "config.json", training)
    write_json(evaluation / "config.json", {"policy": str(run)})
    assert trained_by(evaluation) == said


def test_rollouts_of_others_say_nothing(tmp_path):
    assert trained_by(tmp_path) == ""
    assert trained_lines({"arms": {}, "differences": {}}) == []
    known = {"a": "darling, 40 steps of RL", "b": "dr_grpo, 40 steps of RL"}
    line = "a: darling, 40 steps of RL; b: dr_grpo, 40 steps of RL"
    assert trained_lines({"arms": {}, "differences": {}, "trained": known}) == [line]
