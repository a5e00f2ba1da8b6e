"""What a training run is: its configuration, its demonstrations, and who is told of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ...envs.tasks.registry import Task, make_task
from ...policies.language.batches import TokenRows
from ...policies.language.episode_rows import rows_of
from ...policies.language.model import LanguageModelPolicy
from ...policies.policy import Sampling
from ...policies.rollout import rollout
from ...policies.scripted import scripted_policy
from ...policies.training.rl import RlConfig
from ...policies.training.sft import SftConfig
from ...retrieval_index.errors import BerrypickError

__all__ = ["WORLD_DEMONSTRATIONS", "TrainConfig", "TrainView", "Validation", "demonstrate", "hold_out"]

WORLD_DEMONSTRATIONS: dict[str, Any] = {
    "world_seed": 1_000_003,
    "num_train": 4096,
    "num_validation": 0,
    "num_test": 0,
    "index": "bm25s",
}
"""The world whose questions are demonstrated."""


class TrainView(Protocol):
    """What a training run tells about itself while it goes."""

    def begin(self, step: int) -> None:
        """Called once before a phase's first step; `step` is how many are done already."""
        ...

    def update(self, step: int, metrics: dict[str, float], episode_text: str | None = None) -> None:
        """Called after each step; `step` counts over both phases."""
        ...


@dataclass(frozen=True)
class Validation:
    """Held-out demonstrations that decide when SFT ends and which weights it ends with.

    Attributes:
        share: of the demonstrated questions, 0 for no validation.
        every: updates between checks; each check is a checkpoint.
        patience: checks in a row without a lower loss that end SFT; 0 goes on to the last update.
    """

    share: float = 0.0
    every: int = 20
    patience: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise BerrypickError(f"the share of demonstrations held out must lie in [0, 1), got {self.share}")
        if self.every < 1 or self.patience < 0:
            raise BerrypickError("validation: updates between checks must be at least 1, patience at least 0")
        if self.patience and not self.share:
            raise BerrypickError("an early stop needs held-out demonstrations: give --sft-validation 0.1, for example")


@dataclass(frozen=True)
class TrainConfig:
    """A training run; together with the code it decides every byte of metrics.jsonl.

    Attributes:
        env: environment id.
        env_args: its arguments.
        policy: where the weights start: "tiny", a folder, a hub id; behind "vllm:" vLLM plays the rollouts.
        dtype: of the weights, "float32" or "bfloat16".
        lora_rank: of the LoRA matrices that train instead of all weights; 0 without.
        split: the fixed training questions.
        demonstrator: the scripted policy that SFT imitates.
        demonstrations: episodes it plays of each training question.
        demonstration_args: arguments of the environment to change while demonstrating; the World preset plays another
            world, so that SFT shows many names and never a question that RL or the test asks.
        validation: of SFT.
        checkpoint_every: steps between checkpoints.
        fsdp: shard weights, gradients and optimizer over the processes.
    """

    env: str
    env_args: dict[str, Any] = field(default_factory=dict)
    policy: str = "tiny"
    dtype: str = "float32"
    lora_rank: int = 0
    split: str = "train"
    demonstrator: str = "random_order"
    demonstrations: int = 4
    demonstration_args: dict[str, Any] = field(default_factory=dict)
    sft: SftConfig = field(default_factory=lambda: SftConfig(steps=0))
    validation: Validation = Validation()
    rl: RlConfig = field(default_factory=lambda: RlConfig(steps=0))
    checkpoint_every: int = 10
    fsdp: bool = False

    def __post_init__(self) -> None:
        for name in ("demonstrations", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise BerrypickError(f"training: {name} must be at least 1, got {getattr(self, name)}")
        if self.lora_rank < 0:
            raise BerrypickError(f"training: lora_rank must be at least 0, got {self.lora_rank}")


def demonstrate(policy: LanguageModelPolicy, task: Task, config: TrainConfig) -> TokenRows:
    """Plays the demonstrator on the training questions and encodes its episodes as a session would hold them.

    Rows are in the order of the questions, `config.demonstrations` of each.
    """
    if config.demonstration_args:
        task = make_task(config.env, **{**config.env_args, **config.demonstration_args})
    groups = rollout(
        scripted_policy(config.demonstrator),
        task.split(config.split),
        task.spec,
        task.searcher,
        num_samples=config.demonstrations,
        sampling=Sampling(),
        seed=config.sft.seed,
        max_rows=4096,
    )
    return rows_of(policy, [episode for group in groups for episode in group])


def hold_out(rows: TokenRows, config: TrainConfig) -> tuple[TokenRows, TokenRows]:
    """Demonstrations to learn from and to validate on; all of a question's lie on one side."""
    num_questions = len(rows.ids) // config.demonstrations
    count = round(config.validation.share * num_questions)
    if config.validation.share and not 0 < count < num_questions:
        raise BerrypickError(
            f"a share of {config.validation.share} of {num_questions} demonstrated questions leaves none to learn from "
            "or none to validate on; change --sft-validation"
        )
    held = set(np.random.default_rng((config.sft.seed, 31)).permutation(num_questions)[:count].tolist())
    sides: tuple[list[int], list[int]] = ([], [])
    for row in range(len(rows.ids)):
        sides[row // config.demonstrations in held].append(row)
    return rows.select(sides[0]), rows.select(sides[1])
