"""The training recipe of the embedded world: SFT on another world's demonstrations, then RL from those weights.

A policy that starts from nothing first learns to copy names: for a quarter of SFT, half of each batch are strings said
twice. It then imitates random-order demonstrations of another world, so that SFT never shows a question of RL or of the
test. RL starts from the last SFT checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from ...envs.tasks.registry import Task
from ...policies.language.vllm_engine import split_name
from ...policies.training.rl import RlConfig
from ...policies.training.sft import SftConfig
from ...retrieval_index.errors import BerrypickError
from .training_config import EnvArgument, TrainConfig

__all__ = [
    "CPU_MICRO_BATCH",
    "ENV",
    "FRESH_SFT_STEPS",
    "SMALL_MODEL",
    "WORLD_DEMONSTRATIONS",
    "LearningRates",
    "copying_steps",
    "default_sft_steps",
    "demonstration_args",
    "is_fresh",
    "learning_rates",
    "world_rl",
    "world_sft",
]

ENV = "berrypick/World-v0"

WORLD_DEMONSTRATIONS: Mapping[str, EnvArgument] = {
    "world_seed": 1_000_003,
    "num_train": 4096,
    "num_validation": 0,
    "num_test": 0,
    "index": "bm25s",
}
"""Arguments of the world whose questions are demonstrated."""

CPU_MICRO_BATCH = 1024
"""Padded tokens of a micro-batch of a pretrained model: as fast on a processor as more, in a third of the memory."""

FRESH_SFT_STEPS = 520
"""SFT steps after which fresh weights play the World about as well as the demonstrator."""

SMALL_MODEL = 5_000_000
"""Models with fewer parameters train at the rates of the from-scratch preset."""


class LearningRates(NamedTuple):
    """Peak learning rate of SFT, and the constant one of RL."""

    sft: float
    rl: float


def learning_rates(num_parameters: int) -> LearningRates:
    """Default learning rates for a model of this size."""
    return LearningRates(4e-3, 1e-4) if num_parameters < SMALL_MODEL else LearningRates(2e-5, 1e-6)


def is_fresh(policy: str) -> bool:
    """Whether the weights of this name start from nothing."""
    return split_name(policy)[1] == "tiny"


def default_sft_steps(policy: str, task: Task) -> int:
    """SFT steps if nobody says how many: without them, fresh weights never earn a reward, so RL learns nothing.

    Raises:
        BerrypickError: fresh weights, and a task that the recipe does not teach them; says what to type instead.
    """
    if not is_fresh(policy):
        return 0
    if task.world is None:
        raise BerrypickError(
            f"{policy} starts from nothing and cannot learn to read {task.env_id}; start from pretrained weights: "
            "--policy smollm2 --demonstrator bridge:ways=4 --sft-steps 120 --sft-batch-size 8 --sft-learning-rate 1e-4 "
            "--max-new-tokens 48, or say --sft-steps N to try all the same"
        )
    if task.world.voice != "closed":
        raise BerrypickError(
            f"{policy} starts from nothing and has no words for voice={task.world.voice}; leave out that --env-arg, "
            "choose --policy smollm2, or say --sft-steps N to try all the same"
        )
    return FRESH_SFT_STEPS


def copying_steps(policy: str, sft_steps: int) -> int:
    """How many SFT steps also train copying: a quarter for the policy that starts from nothing, else none."""
    return sft_steps // 4 if is_fresh(policy) else 0


def demonstration_args(task: Task) -> dict[str, EnvArgument]:
    """Arguments to change while demonstrating: another world for World, none for a corpus."""
    return dict(WORLD_DEMONSTRATIONS) if task.world else {}


def world_sft(
    env_args: Mapping[str, EnvArgument], *, steps: int, seed: int, demonstrator: str = "random_order"
) -> TrainConfig:
    """SFT of the tiny policy on one demonstration of each of another world's questions.

    Args:
        env_args: arguments of World, e.g. {"preset": "priced"}.
        steps: SFT steps.
        seed: of demonstrations and batches.
        demonstrator: the scripted policy that is imitated.
    """
    return TrainConfig(
        env=ENV,
        env_args=dict(env_args),
        demonstrator=demonstrator,
        demonstrations=1,
        demonstration_args=dict(WORLD_DEMONSTRATIONS),
        sft=SftConfig(steps=steps, copying_steps=copying_steps("tiny", steps), seed=seed),
    )


def world_rl(
    env_args: Mapping[str, EnvArgument],
    *,
    start: str,
    objective: str,
    steps: int,
    seed: int,
    learning_rate: float = 0.0,
) -> TrainConfig:
    """RL from the weights of `world_sft`.

    Args:
        env_args: arguments of World, as for SFT.
        start: name of the weights for config.json; the caller of `train` loads them.
        objective: a registered name with its options.
        steps: RL steps.
        seed: of questions and rollouts.
        learning_rate: 0 is the default of `RlConfig`.
    """
    rl = RlConfig(objective=objective, steps=steps, seed=seed)
    return TrainConfig(
        env=ENV,
        env_args=dict(env_args),
        policy=start,
        rl=replace(rl, learning_rate=learning_rate or rl.learning_rate),
    )
