"""A training run that is killed and resumed leaves the bytes of one that was never stopped."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RUN = """
import sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from berrypick.envs.tasks import make_task
from berrypick.experiments.training import TrainConfig, train
from berrypick.policies.language_model import load_language_model
from berrypick.policies.rl import RlConfig
from berrypick.policies.sft import SftConfig

args = {"num_train": 12, "num_validation": 0, "num_test": 0}
config = TrainConfig(
    env="berrypick/World-v0",
    env_args=args,
    demonstrations=1,
    sft=SftConfig(steps=int(sys.argv[2]), batch_size=4, copying_steps=2),
    rl=RlConfig(objective=sys.argv[3], steps=6, questions_per_step=2, group_size=4, max_new_tokens=16),
    checkpoint_every=2,
)
task = make_task("berrypick/World-v0", **args)
train(config, load_language_model("tiny"), task, Path(sys.argv[1]), resume=True)
"""


def command(out: Path, sft_steps: int, objective: str) -> list[str]:
    return [sys.executable, "-c", RUN, str(out), str(sft_steps), objective]


def outcome(out: Path) -> tuple[bytes, str]:
    weights = (out / "checkpoints" / "rl-000006" / "model.safetensors").read_bytes()
    return (out / "metrics.jsonl").read_bytes(), hashlib.sha256(weights).hexdigest()


def run_until(out: Path, rows: int, sft_steps: int, objective: str) -> None:
    """Starts the run and kills it with signal 9 once metrics.jsonl holds `rows` rows."""
    process = subprocess.Popen(command(out, sft_steps, objective))
    log = out / "metrics.jsonl"
    while not log.exists() or log.read_bytes().count(b"\n") < rows:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_the_same_seed_twice_and_a_run_killed_in_both_phases_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("straight", "again"):
        subprocess.run(command(tmp_path / name, 4, "grpo"), check=True)
    for rows in (2, 5, 8):  # in SFT, before RL's first checkpoint, in the middle of RL
        run_until(tmp_path / "killed", rows, 4, "grpo")
    subprocess.run(command(tmp_path / "killed", 4, "grpo"), check=True)
    metrics, weights = outcome(tmp_path / "straight")
    assert metrics.count(b"\n") == 10
    assert outcome(tmp_path / "again") == (metrics, weights)
    assert outcome(tmp_path / "killed") == (metrics, weights)
