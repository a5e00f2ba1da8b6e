"""The training recipe: its values, written out once, and the public names of the package."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import berrypick.experiments.runs as runs
import pytest
from berrypick.experiments.commands.parser import parse_command
from berrypick.experiments.commands.train import prepare_training
from berrypick.experiments.runs.recipes import copying_steps, learning_rates, world_rl, world_sft

ARGUMENTS = {"preset": "priced", "index": "bm25s"}
SFT = {
    "steps": 520,
    "batch_size": 32,
    "learning_rate": 4e-3,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "copying_steps": 130,
    "max_tokens": 4096,
    "packing": False,
    "seed": 3,
}


def test_sft_on_another_world_copies_for_a_quarter_of_its_steps() -> None:
    config = json.loads(json.dumps(asdict(world_sft(ARGUMENTS, steps=520, seed=3))))
    assert config["env"] == "berrypick/World-v0" and config["env_args"] == ARGUMENTS
    assert config["policy"] == "tiny" and config["demonstrator"] == "random_order" and config["demonstrations"] == 1
    assert config["demonstration_args"] == {
        "world_seed": 1_000_003,
        "num_train": 4096,
        "num_validation": 0,
        "num_test": 0,
        "index": "bm25s",
    }
    assert config["sft"] == SFT
    assert config["rl"]["steps"] == 0


def test_rl_starts_from_the_sft_weights_without_demonstrations() -> None:
    config = world_rl(ARGUMENTS, start="sft", objective="darling", steps=40, seed=3)
    assert (config.policy, config.sft.steps, config.demonstration_args) == ("sft", 0, {})
    rl = config.rl
    assert (rl.objective, rl.steps, rl.seed, rl.learning_rate) == ("darling", 40, 3, 1e-4)
    assert (rl.questions_per_step, rl.group_size) == (16, 8)


def test_the_train_command_follows_the_recipe(tmp_path: Path) -> None:
    words = ["--env", "berrypick/World-v0", "--env-arg", "preset=priced", "index=bm25s", "--out", str(tmp_path)]
    flags = parse_command(["train", *words, "--steps", "0", "--sft-steps", "520", "--seed", "3"]).flags
    config = prepare_training(flags).config  # type: ignore[arg-type]
    recipe = world_sft(ARGUMENTS, steps=520, seed=3)
    for name in ("env", "env_args", "policy", "demonstrator", "demonstrations", "demonstration_args", "sft"):
        assert getattr(config, name) == getattr(recipe, name), name


def test_only_the_policy_that_starts_from_nothing_copies() -> None:
    assert [copying_steps(name, 10) for name in ("tiny", "vllm:tiny", "smollm2", "runs/demo")] == [2, 2, 0, 0]


def test_large_models_learn_slower() -> None:
    assert learning_rates(4_999_999) == (4e-3, 1e-4)
    assert learning_rates(5_000_000) == (2e-5, 1e-6)


@pytest.mark.parametrize("name", runs.__all__)
def test_public_names_are_documented(name: str) -> None:
    assert (getattr(runs, name).__doc__ or "").strip() and name in dir(runs)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = runs.trian
