"""A crash at every write, flush, rename and removal of a run's files; the resumed run is the same run."""

from __future__ import annotations

import builtins
import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
from berrypick.envs.tasks.registry import Task
from berrypick.experiments.runs import TrainConfig, train
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.training import checkpoint
from berrypick.policies.training.rl import RlConfig
from berrypick.policies.training.sft import SftConfig

pytestmark = pytest.mark.slow

CONFIG = TrainConfig(
    env="berrypick/World-v0",
    env_args={"num_train": 8, "num_validation": 0, "num_test": 4},
    policy="babbler",
    demonstrations=1,
    sft=SftConfig(steps=2, batch_size=2),
    rl=RlConfig(objective="ucb_con:key=query", steps=3, questions_per_step=2, group_size=2, max_new_tokens=6),
    checkpoint_every=1,
)


class Killed(BaseException):
    """Stands for a process that stops at once."""


class Crash:
    """Counts the boundaries of a run's files; raises at one of them, before or in the middle of it."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int | None) -> None:
        self.count, self.at = 0, at
        for module, name in (
            (os, "replace"),
            (os, "rename"),
            (os, "fsync"),
            (shutil, "rmtree"),
            (Path, "write_text"),
            (checkpoint, "save_file"),
            (Path, "open"),
        ):
            patch.setattr(module, name, self._watched(getattr(module, name), name))

    def _watched(self, function: Callable[..., object], name: str) -> Callable[..., object]:
        def watched(*args: object, **kwargs: object) -> object:
            writes = name != "open" or any("w" in str(a) or "a" in str(a) or "+" in str(a) for a in args[1:2])
            if not writes:
                return function(*args, **kwargs)
            self.count += 1
            if self.at is not None and self.count > self.at:  # a dead process does nothing more, not even cleaning up
                raise Killed
            if self.count == self.at:
                if name == "write_text":  # half a file
                    with builtins.open(str(args[0]), "w") as file:
                        file.write(str(args[1])[: len(str(args[1])) // 2])
                raise Killed
            return function(*args, **kwargs)

        return watched


def run(out: Path, world: Task, policy: LanguageModelPolicy, at: int | None) -> int:
    """Trains, stopping at boundary `at`; returns how many boundaries were met."""
    with pytest.MonkeyPatch.context() as patch:
        crash = Crash(patch, at)
        with contextlib.suppress(Killed):
            train(CONFIG, policy, world, out, resume=True, track=())
        return crash.count


def outcome(out: Path) -> tuple[bytes, bytes, bytes]:
    last = out / "checkpoints" / "rl-000003"
    return (
        (out / "metrics.jsonl").read_bytes(),
        (last / "model.safetensors").read_bytes(),
        (last / "state.json").read_bytes(),
    )


def test_a_crash_at_every_boundary_leaves_a_run_that_resumes_to_the_same_bytes(
    tmp_path: Path, world: Task, make_babbler: Callable[..., LanguageModelPolicy]
) -> None:
    boundaries = run(tmp_path / "straight", world, make_babbler(), None)
    expected = outcome(tmp_path / "straight")
    assert boundaries > 60
    for at in range(1, boundaries + 1):
        out = tmp_path / f"crash{at}"
        run(out, world, make_babbler(), at)
        run(out, world, make_babbler(), None)
        assert outcome(out) == expected, at
        shutil.rmtree(out)


def test_a_run_that_crashes_twenty_times_in_a_row_ends_the_same(
    tmp_path: Path, world: Task, make_babbler: Callable[..., LanguageModelPolicy]
) -> None:
    run(tmp_path / "straight", world, make_babbler(), None)
    draws = random.Random(0)
    for _ in range(20):
        run(tmp_path / "often", world, make_babbler(), draws.randint(1, 40))
    run(tmp_path / "often", world, make_babbler(), None)
    assert outcome(tmp_path / "often") == outcome(tmp_path / "straight")


def test_safetensors_writes_are_watched() -> None:
    assert checkpoint.save_file is safetensors.torch.save_file
