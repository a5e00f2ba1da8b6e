"""A training run that is killed and resumed leaves the bytes of one that was never stopped."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RUN = """
import os
import signal
import sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.runs import TrainConfig, train
from berrypick.policies.language.model import load_language_model
from berrypick.policies.training.rl import RlConfig
from berrypick.policies.training.sft import SftConfig

args = {"num_train": 12, "num_validation": 0, "num_test": 0}
config = TrainConfig(
    env="berrypick/World-v0",
    env_args=args,
    demonstrations=1,
    sft=SftConfig(steps=int(sys.argv[2]), batch_size=4, copying_steps=2),
    rl=RlConfig(objective=sys.argv[3], steps=10, questions_per_step=2, group_size=4, max_new_tokens=16),
    checkpoint_every=2,
)
task = make_task("berrypick/World-v0", **args)
real, last = Path.open, int(sys.argv[4])

def opened(path, *args, **options):
    if path.name == "metrics.jsonl" and "a" in args and path.exists() and open(path).read().count("\\n") == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, *args, **options)

if last:
    Path.open = opened
train(config, load_language_model("tiny"), task, Path(sys.argv[1]), resume=True)
"""


def command(out: Path, sft_steps: int, objective: str, last_row: int = 0) -> list[str]:
    """A run that kills itself with signal 9 when `last_row` rows of metrics are written; 0: never."""
    return [sys.executable, "-c", RUN, str(out), str(sft_steps), objective, str(last_row)]


def outcome(out: Path) -> tuple[bytes, str]:
    weights = (out / "checkpoints" / "rl-000010" / "model.safetensors").read_bytes()
    return (out / "metrics.jsonl").read_bytes(), hashlib.sha256(weights).hexdigest()


def test_processes_that_are_killed_in_both_phases_leave_the_bytes_of_one_that_was_not(tmp_path: Path) -> None:
    subprocess.run(command(tmp_path / "straight", 4, "grpo"), check=True)
    for rows in (5, 8):  # before RL's first checkpoint, in the middle of RL
        assert subprocess.run(command(tmp_path / "killed", 4, "grpo", rows), check=False).returncode == -signal.SIGKILL
        assert (tmp_path / "killed" / "metrics.jsonl").read_bytes().count(b"\n") == rows
    subprocess.run(command(tmp_path / "killed", 4, "grpo"), check=True)
    metrics, weights = outcome(tmp_path / "straight")
    assert metrics.count(b"\n") == 14
    assert outcome(tmp_path / "killed") == (metrics, weights)


KILLS = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.runs import TrainConfig, Validation, train
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.training.rl import RlConfig
from berrypick.policies.training.sft import SftConfig
from berrypick.policies.language.tiny import TINY_CONFIG, tiny_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

args = {"num_train": 12, "num_validation": 0, "num_test": 0}
config = TrainConfig(
    env="berrypick/World-v0",
    env_args=args,
    demonstrations=1,
    sft=SftConfig(steps=12, batch_size=4, copying_steps=4),
    validation=Validation(share=0.25, every=3, patience=3),
    rl=RlConfig(objective="ucb_con:key=query", steps=14, questions_per_step=2, group_size=2, max_new_tokens=5),
    checkpoint_every=2,
)
task, tokenizer = make_task("berrypick/World-v0", **args), tiny_tokenizer()
sizes = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48}

def run(out):
    torch.manual_seed(5)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **{**TINY_CONFIG, **sizes})).eval()
    train(config, LanguageModelPolicy(model, tokenizer, "small"), task, out, resume=True, track=())

def start(out):
    child = os.fork()
    if child == 0:
        try:
            run(out)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child

def ended(child, is_due=lambda: False):
    # whether the child came to its end before its time was due
    while not is_due():
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, status
            return True
        time.sleep(0.002)
    return False

def rows(out):
    log = out / "metrics.jsonl"
    return log.read_bytes().count(b"\\n") if log.exists() else 0

folder, draws, killed_at, runs = Path(sys.argv[1]), random.Random(int(sys.argv[2])), [], ["straight", "killed0"]
began = time.monotonic()
assert ended(start(folder / "straight"))
row_s = (time.monotonic() - began) / 26
while len(killed_at) < 20:
    out = folder / runs[-1]
    last = rows(out) + draws.randint(0, 4)  # in rows and not in seconds: no load keeps the run from getting on
    child = start(out)
    if ended(child, lambda: rows(out) >= last):
        runs.append(f"killed{len(runs) - 1}")  # the next kill hits another run
        continue
    time.sleep(draws.uniform(0, row_s))  # somewhere between two rows
    os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] == signal.SIGKILL:
        killed_at.append(rows(out))
assert ended(start(folder / runs[-1]))
print(json.dumps({"runs": runs, "killed_at": killed_at}))
"""


def test_twenty_kills_at_random_moments_leave_the_bytes_of_a_run_that_was_never_stopped(tmp_path: Path) -> None:
    """Trainers are forked from one warm process, so that a kill costs no import."""
    script = [sys.executable, "-c", KILLS, str(tmp_path), "1"]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["killed_at"]) == 20
    assert len(set(found["killed_at"])) > 3  # at different moments of a run
    files = ("metrics.jsonl", "checkpoints/rl-000014/model.safetensors", "checkpoints/rl-000014/optimizer.safetensors")
    straight, *others = (tmp_path / name for name in found["runs"])
    for run in others:
        for file in (*files, "checkpoints/rl-000014/state.json"):
            assert (run / file).read_bytes() == (straight / file).read_bytes(), (run.name, file)
