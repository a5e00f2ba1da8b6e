"""SFT with held-out demonstrations: it ends early, with the best weights, and resumes to the same bytes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.tasks.registry import Task
from berrypick.experiments.runs.demonstrations import demonstrate
from berrypick.experiments.runs.training import train
from berrypick.experiments.runs.training_config import TrainConfig, Validation, split_for_validation
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.training.rl import RlConfig
from berrypick.policies.training.sft import SftConfig
from berrypick.policies.training.sft_fit import EarlyStop, validation_loss

CONFIG = TrainConfig(
    env="berrypick/World-v0",
    env_args={"num_train": 8, "num_validation": 0, "num_test": 4},
    policy="babbler",
    demonstrations=2,
    sft=SftConfig(steps=60, batch_size=3, learning_rate=5e-2, packing=True),
    validation=Validation(share=0.5, every=2, patience=3),
)


def rows(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_it_stops_after_checks_without_a_better_loss_and_ends_with_the_best_weights(
    tmp_path: Path, world: Task, make_babbler: Callable[..., LanguageModelPolicy]
) -> None:
    policy = train(CONFIG, make_babbler(), world, tmp_path / "a", track=())
    checks = {row["step"]: row["sft/validation_loss"] for row in rows(tmp_path / "a") if "sft/validation_loss" in row}
    last, best = max(checks), min(checks, key=lambda step: checks[step])
    assert list(checks) == list(range(2, last + 1, 2))
    assert last == best + 6 < 60
    assert len(rows(tmp_path / "a")) == last
    _, validation = split_for_validation(demonstrate(policy, world, CONFIG), CONFIG)
    assert validation_loss(policy, validation, 4096) == pytest.approx(checks[best], rel=1e-6)
    # Killed before the last check was saved, or between it and the end: the same files.
    final = tmp_path / "a" / "checkpoints" / "sft-000060"
    for lost in (["sft-000060"], ["sft-000060", f"sft-{last:06d}"]):
        out = tmp_path / "-".join(lost)
        shutil.copytree(tmp_path / "a", out)
        for name in lost:
            shutil.rmtree(out / "checkpoints" / name, ignore_errors=True)
        train(CONFIG, make_babbler(), world, out, resume=True, track=())
        assert (out / "metrics.jsonl").read_bytes() == (tmp_path / "a" / "metrics.jsonl").read_bytes()
        for file in ("model.safetensors", "state.json"):
            assert (out / "checkpoints" / "sft-000060" / file).read_bytes() == (final / file).read_bytes()


def test_reinforcement_learning_starts_from_the_best_weights(
    tmp_path: Path, world: Task, make_babbler: Callable[..., LanguageModelPolicy]
) -> None:
    config = dataclasses.replace(
        CONFIG, rl=RlConfig(objective="kl", steps=1, questions_per_step=2, group_size=2, max_new_tokens=4)
    )
    train(config, make_babbler(), world, tmp_path, track=())
    best = (tmp_path / "checkpoints" / "sft-000060" / "model.safetensors").read_bytes()
    assert (tmp_path / "reference" / "model.safetensors").read_bytes() == best


def test_a_question_is_on_one_side_only(world: Task, make_babbler: Callable[..., LanguageModelPolicy]) -> None:
    policy = make_babbler()
    training, validation = split_for_validation(demonstrate(policy, world, CONFIG), CONFIG)
    prompts = [{policy.tokenizer.decode(ids).split("?")[0] for ids in side.ids} for side in (training, validation)]
    assert not prompts[0] & prompts[1]
    assert (len(training.ids), len(validation.ids)) == (8, 8)


def test_an_early_stop_counts_checks_since_the_best() -> None:
    stop = EarlyStop(2)
    assert [(stop.check(step, loss), stop.over) for step, loss in enumerate([3.0, 2.0, 2.5, 2.0], 1)] == [
        (True, False),
        (True, False),
        (False, False),
        (False, True),
    ]
    assert stop.best_step == 2
    assert not EarlyStop(0, [(1, 1.0), (2, 2.0)]).over


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--sft-patience", "2"], "give --sft-validation"),
        (["--sft-validation", "1.5"], "must lie in"),
    ],
)
def test_flags_that_cannot_be_are_refused(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--env", "berrypick/World-v0", "--sft-steps", "2", "--out", str(tmp_path / "x"), *flags]
    assert main(command) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
