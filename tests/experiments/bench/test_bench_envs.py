"""`berrypick bench envs` measures and says what it measured."""

from __future__ import annotations

import json

import pytest
from berrypick.__main__ import main
from berrypick.experiments.runs.run_folder import stored_json


def test_the_bench_writes_its_figures_and_its_command(tmp_path, capsys):
    arguments = ["--parts", "step", "memory", "world", "--num-envs", "3", "--rounds", "1", "--passages", "600"]
    assert main(["bench", "envs", "--out", str(tmp_path), "--json", *arguments]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == stored_json(tmp_path / "bench.json")
    assert shown["step"]["vector_env_us"] > 0 and shown["memory"]["kib_per_env"] > 0
    assert shown["world"]["passages"] == 600 and "environment" in shown


def test_an_unknown_part_names_the_nearest(tmp_path, capsys):
    assert main(["bench", "envs", "--out", str(tmp_path), "--parts", "steps"]) == 2
    assert "did you mean step" in capsys.readouterr().err


def test_without_the_trainer_its_part_says_what_to_install(tmp_path, capsys):
    try:
        import skyrl_gym  # noqa: F401
    except ImportError:
        assert main(["bench", "envs", "--out", str(tmp_path), "--parts", "skyrl"]) == 2
        assert "skyrl-gym" in capsys.readouterr().err
    else:
        pytest.skip("skyrl-gym is installed")
