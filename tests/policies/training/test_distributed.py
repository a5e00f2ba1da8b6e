"""Two processes under `accelerate launch` (gloo) do what one does, with whole or sharded weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from berrypick.envs.tasks.registry import Task
from berrypick.experiments.runs.run_log import read_rows
from berrypick.experiments.runs.training import TrainConfig, train
from berrypick.policies.language.lora import with_lora
from berrypick.policies.language.model import LanguageModelPolicy, load_language_model
from berrypick.policies.language.tiny import tiny_model
from berrypick.policies.training.checkpoint import load_checkpoint
from berrypick.policies.training.distributed import OneProcess, join_processes, share
from berrypick.policies.training.rl import RlConfig, rl_optimizer
from berrypick.policies.training.sharding import shard
from berrypick.retrieval_index.errors import BerrypickError
from safetensors.torch import load_file

RUN = """
import atexit
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

def gloo_threads():
    count = 0
    for path in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # it has just ended
            count += "gloo" in path.read_text()
    return count

def say_threads():
    for _ in range(500):  # the system lists a thread for a moment after it was joined
        if not gloo_threads():
            break
        time.sleep(0.01)
    os.write(1, b"gloo threads at the end: %d " % gloo_threads())

atexit.register(say_threads)  # before all others, so it runs after them
import torch
torch.set_num_threads(1)
from dataclasses import replace
from berrypick.envs.tasks.registry import make_task
from berrypick.policies.training.distributed import join_processes
from berrypick.experiments.runs.training import TrainConfig, train
from berrypick.policies.language.model import load_language_model
from berrypick.policies.training.rl import RlConfig
from berrypick.policies.training.sft import SftConfig

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
train(replace(config, fsdp=sys.argv[2] == "fsdp"), load_language_model("tiny"), task, Path(sys.argv[1]), resume=True)
os.write(1, b"processes: %d " % join_processes().count)  # whole; print writes in pieces
"""


LAUNCH = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
          "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0")  # fmt: skip


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


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run by one process, by two, and by two that shard the weights."""
    folder = tmp_path_factory.mktemp("distributed")
    script = folder / "run.py"
    script.write_text(RUN, encoding="utf-8")
    subprocess.run([sys.executable, str(script), str(folder / "one"), "plain"], check=True)
    for name, kind in (("two", "plain"), ("sharded", "fsdp")):
        command = [sys.executable, *LAUNCH, str(script), str(folder / name), kind]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.count("processes: 2") == 2, done.stderr[-2000:]
        # A thread of gloo that outlives the interpreter aborts one process in some hundred when the machine is busy.
        if Path("/proc/self/task").is_dir():
            assert done.stdout.count("gloo threads at the end: 0") == 2, done.stdout
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two", "sharded"])
def test_two_gloo_processes_train_as_one_does(runs: Path, name: str) -> None:
    one, two = (read_rows(runs / run / "metrics.jsonl") for run in ("one", name))
    assert len(one) == 5
    for a, b in zip(one, two, strict=True):
        assert a.pop("phase") == b.pop("phase")
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)
    paths = [runs / run / "checkpoints" / "rl-000003" for run in ("one", name)]
    states = [json.loads((path / "state.json").read_text())["memory"] for path in paths]
    assert states[0] == states[1]
    for file in ("model.safetensors", "optimizer.safetensors"):
        first, second = (load_file(path / file) for path in paths)
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert float((value - second[key]).abs().max()) < 1e-4, key
    assert json.loads((paths[0] / "config.json").read_text()) == json.loads((paths[1] / "config.json").read_text())


@pytest.mark.slow
def test_one_process_goes_on_from_a_checkpoint_of_sharded_weights(runs: Path, world: Task) -> None:
    sharded = load_language_model(str(runs / "sharded" / "checkpoints" / "rl-000003"))
    state = load_checkpoint(runs / "sharded" / "checkpoints" / "rl-000003", sharded, rl_optimizer(sharded, RlConfig()))
    assert (state["phase"], state["step"]) == ("rl", 3)


STOPS = """
import os
import sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from berrypick.__main__ import main
from berrypick.policies.training.distributed import join_processes

words = ["train", "--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=1"]
words += ["index=bm25s", "--steps", "20", "--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "3"]
words += ["--sft-steps", "0"]
code = main([*words, "--track", "--on-collapse", "stop", "--out", sys.argv[1]])
os.write(1, b"rank %d of %d: status %d " % (join_processes().rank, join_processes().count, code))
"""


@pytest.mark.slow
def test_a_collapse_stops_both_processes_at_one_step(tmp_path: Path) -> None:
    """Fresh weights solve nothing, so no group has a gradient; one process stops after step 12."""
    script = tmp_path / "stops.py"
    script.write_text(STOPS, encoding="utf-8")
    command = [sys.executable, *LAUNCH, str(script), str(tmp_path / "run")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for rank in (0, 1):
        assert f"rank {rank} of 2: status 2" in done.stdout, done.stderr[-2000:]
    assert done.stderr.count("training stopped after RL step 12 of 20: no gradient, since step 10") == 2
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert (tmp_path / "run" / "checkpoints" / "rl-000012" / "model.safetensors").is_file()


def test_sharding_is_refused_where_it_cannot_be(tmp_path: Path, world: Task, tokenizer) -> None:
    policy = LanguageModelPolicy(tiny_model(len(tokenizer), 0), tokenizer, "tiny")
    with pytest.raises(BerrypickError, match="accelerate launch --multi_gpu --num_processes N -m berrypick train"):
        train(TrainConfig("berrypick/World-v0", fsdp=True), policy, world, tmp_path, track=())
    with pytest.raises(BerrypickError, match="drop one of them"):
        shard(with_lora(policy, 2))
