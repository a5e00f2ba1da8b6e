"""An evaluation that is killed at any moment goes on, and ends as one that was never stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from berrypick import BerrypickError
from berrypick.envs.record import read_records
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.runs.evaluation import evaluate
from berrypick.experiments.runs.partial_rollouts import PARTIAL
from berrypick.policies.policy import Sampling
from berrypick.policies.scripted import SCRIPTED

SAMPLES, ROWS = 3, 7


@pytest.fixture(scope="module")
def task():
    return make_task("berrypick/World-v0", num_train=4, num_validation=0, num_test=8)


def play(task, out, **changes):
    settings = {"split": "test", "num_questions": 8, "num_samples": SAMPLES, "seed": 0, "max_rows": ROWS}
    return evaluate(SCRIPTED["random_order"], task, sampling=Sampling(), out=out, **(settings | changes))


@pytest.fixture
def whole(task, tmp_path):
    records = play(task, tmp_path / "whole" / "run")
    file = tmp_path / "whole" / "run" / "rollouts.jsonl"
    assert read_records(file) == records
    return file.read_bytes()


class Stop(Exception):
    pass


def stop_after(episodes):
    def progress(done, batch):
        if done > episodes:
            raise Stop

    return progress


def test_finished_chunks_are_saved_and_only_the_others_are_played(task, whole, tmp_path):
    out, told = tmp_path / "run", []
    with pytest.raises(Stop):
        play(task, out, on_progress=stop_after(12))
    assert not (out / "rollouts.jsonl").exists()
    assert read_records(out / PARTIAL) == read_records(tmp_path / "whole" / "run" / "rollouts.jsonl")[:12]
    play(task, out, on_resume=told.append, on_progress=lambda done, batch: told.append(done))
    assert told == [12, 18, 24]
    assert (out / "rollouts.jsonl").read_bytes() == whole
    assert not (out / PARTIAL).exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.33, 0.5, 0.77, 0.999, 1.0])
def test_a_file_cut_anywhere_goes_on_to_the_same_bytes(share, task, whole, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / PARTIAL).write_bytes(whole[: int(share * len(whole))])
    play(task, out)
    assert (out / "rollouts.jsonl").read_bytes() == whole


@pytest.mark.parametrize("changes", [{"seed": 1}, {"policy_id": "another"}, {"num_samples": 2}])
def test_what_other_settings_left_is_not_taken_over(changes, task, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(Stop):
        play(task, out, on_progress=stop_after(6))
    assert play(task, out, **changes) == play(task, tmp_path / "fresh" / "run", **changes)


def test_a_duplicate_question_is_refused(task, tmp_path):
    class Twice:
        spec, searcher, env_id = task.spec, task.searcher, task.env_id

        def split(self, name):
            return task.split(name)[:3] * 2

    with pytest.raises(BerrypickError, match="duplicate question"):
        play(Twice(), tmp_path / "run")


KILLED = f"""
import os, signal, sys
from pathlib import Path
from berrypick.__main__ import main
real = Path.open

def opened(path, *args, **options):
    if path.name == {PARTIAL!r} and path.exists() and path.stat().st_size > 30_000:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, *args, **options)

Path.open = opened
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on_with_resume(tmp_path):
    settings = ["num_train=4", "num_validation=0", "num_test=100"]
    words = ["eval", "--env", "berrypick/World-v0", "--env-arg", *settings]
    words += ["--policy", "random_order", "--samples", "2", "--max-rows", "16"]

    def command(out):
        return [sys.executable, "-m", "berrypick", *words, "--out", str(out)]

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    out, partial = tmp_path / "a" / "run", tmp_path / "a" / "run" / PARTIAL
    killed = [sys.executable, "-c", KILLED, *words, "--out", str(out)]
    assert subprocess.run(killed, check=False, **quiet).returncode == -signal.SIGKILL
    assert not (out / "rollouts.jsonl").exists() and partial.stat().st_size > 30_000
    assert subprocess.run([*command(out), "--resume"], check=False, **quiet).returncode == 0
    assert subprocess.run(command(tmp_path / "b" / "run"), check=False, **quiet).returncode == 0
    assert (out / "rollouts.jsonl").read_bytes() == (tmp_path / "b" / "run" / "rollouts.jsonl").read_bytes()
