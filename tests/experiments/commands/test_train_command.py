"""`berrypick train`: numbers that cannot be are refused in one line before a folder is made; 0 is a learning rate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.__main__ import main

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=1"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--checkpoint-every", "0"], "--checkpoint-every must be at least 1, got 0"),
        (["--demonstrations", "0"], "--demonstrations must be at least 1"),
        (["--sft-batch-size", "0"], "--sft-batch-size must be at least 1"),
        (["--sft-learning-rate", "-1"], "--sft-learning-rate must be at least 0, got -1"),
        (["--learning-rate", "1e300"], "--learning-rate must be at most 100, got 1e+300"),
        (["--learning-rate", "nan"], "--learning-rate must be at least 0, got nan"),
        (["--group-size", "1"], "--group-size must be at least 2"),
        (["--group-size", "4", "--objective", "pass_at_k"], "needs groups of at least 5 rollouts, got 4"),
        (["--group-size", "2", "--objective", "pass_at_k:k=8"], "needs groups of at least 9 rollouts, got 2"),
        (["--group-size", "2", "--objective", "max_at_k"], "needs groups of at least 3 rollouts, got 2"),
        (["--dynamic-sampling", "-1"], "--dynamic-sampling must be at least 0"),
        (["--lora-rank", "-2"], "--lora-rank must be at least 0, got -2"),
        (["--steps", "0", "--sft-steps", "0"], "nothing to train"),
        (["--steps", "0", "--policy", "smollm2"], "nothing to train"),
        (["--steps", "-1"], "--steps must be at least 0, got -1"),
        (["--sft-steps", "-1"], "--sft-steps must be at least 0, got -1"),
        (["--split", "tain"], "did you mean train"),
    ],
)
def test_a_number_that_cannot_be_is_one_line_and_leaves_nothing(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *WORLD, "--out", str(tmp_path / "x"), *flags]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("berrypick: ")]
    assert message in line
    assert not (tmp_path / "x").exists()


@pytest.mark.filterwarnings("ignore")
def test_learning_rate_0_is_0(tmp_path: Path) -> None:
    small = [
        "--steps",
        "1",
        "--sft-steps",
        "0",
        "--questions-per-step",
        "2",
        "--group-size",
        "2",
        "--max-new-tokens",
        "3",
    ]
    assert (
        main(["train", *WORLD, *small, "--learning-rate", "0", "--track", "tensorboard", "--out", str(tmp_path)]) == 0
    )
    assert json.loads((tmp_path / "config.json").read_text())["rl"]["learning_rate"] == 0
