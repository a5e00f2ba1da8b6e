"""Two processes under `accelerate launch` (gloo) do what one does: rewards, losses, weights, counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from berrypick.policies.distributed import OneProcess, join_processes, share
from safetensors.torch import load_file

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

args = {"num_train": 12, "num_validation": 0, "num_test": 1}
config = TrainConfig(
    env="berrypick/World-v0",
    env_args=args,
    demonstrations=1,
    sft=SftConfig(steps=2, batch_size=5),
    rl=RlConfig(
        objective="ucb_con:key=query,weight=1", steps=3, questions_per_step=3, group_size=3, max_new_tokens=10,
        dynamic_sampling=1, mini_batches=2,
    ),
    checkpoint_every=2,
)
task = make_task("berrypick/World-v0", **args)
train(config, load_language_model("tiny"), task, Path(sys.argv[1]), resume=True)
"""


class Rank:
    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_disjoint_complete_and_even(count: int) -> None:
    parts = [share(range(10), Rank(rank, count)) for rank in range(count)]
    assert sorted(item for part in parts for item in part) == list(range(10))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert isinstance(join_processes(), OneProcess)
    assert OneProcess().gather("x") == ["x"]


@pytest.mark.slow
def test_two_gloo_processes_train_as_one_does(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")
    subprocess.run([sys.executable, str(script), str(tmp_path / "one")], check=True)
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
    options = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    subprocess.run([sys.executable, *launch, *options, str(script), str(tmp_path / "two")], check=True)
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert len(one) == 5
    for a, b in zip(one, two, strict=True):
        assert a.pop("phase") == b.pop("phase")
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)
    paths = [tmp_path / name / "checkpoints" / "rl-000003" for name in ("one", "two")]
    states = [json.loads((path / "state.json").read_text())["memory"] for path in paths]
    assert states[0] == states[1]
    first, second = (load_file(path / "model.safetensors") for path in paths)
    for name, value in first.items():
        assert float((value - second[name]).abs().max()) < 1e-4, name
