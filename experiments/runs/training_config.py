"""What a training run is: its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol, runtime_checkable

import numpy as np

from ...envs.episode import Episode
from ...envs.questions import EpisodeSpec
from ...envs.tasks.corpus import RULES
from ...envs.tasks.task import Task
from ...policies.language.batches import TokenRows
from ...policies.training.rl import RlConfig
from ...policies.training.sft import SftConfig
from ...retrieval_index.errors import BerrypickError
from .phase import Phase

__all__ = [
    "EnvArgument",
    "Resumed",
    "ShowsAlarms",
    "ShowsParts",
    "TrainConfig",
    "TrainView",
    "Validation",
    "episode_rules",
    "split_for_validation",
    "text_of",
]

EnvArgument = str | int | float | bool | None
"""A value of an environment's argument."""


class TrainView(Protocol):
    """Shows a training run while it runs."""

    def begin(self, step: int, phase: Phase) -> None:
        """Called before a phase's first step; `step` is the number of steps already done, over all phases."""
        ...

    def update(self, step: int, metrics: dict[str, float], episode_text: str | None = None) -> None:
        """Called after each step; `step` counts from 1 over both phases."""
        ...


@dataclass(frozen=True)
class Resumed:
    """Where a phase starts.

    Attributes:
        step: steps of the phase that are done.
        validation: (step, loss) pairs of SFT's validations so far.
    """

    step: int = 0
    validation: list[tuple[int, float]] = field(default_factory=list)


@runtime_checkable
class ShowsAlarms(Protocol):
    """A view that also shows the alarms of a run."""

    def alarm(self, text: str) -> None:
        """Called with one line when an alarm begins."""
        ...


@runtime_checkable
class ShowsParts(Protocol):
    """A view that also shows how far a phase is that is not counted in steps."""

    def part(self, done: int, total: int) -> None:
        """Called as the phase advances, for instance with the demonstrations played so far and all of them."""
        ...


@dataclass(frozen=True)
class Validation:
    """Held-out demonstrations, which decide when SFT ends and with which weights.

    Attributes:
        share: share of the demonstrated questions held out; 0 for no validation.
        every: updates between validations; each validation writes a checkpoint.
        patience: validations in a row without a lower loss that end SFT; 0 never ends it early.
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
    """A training run. Together with the code it decides every byte of metrics.jsonl.

    config.json of the run folder holds these fields under these names.

    Attributes:
        env: environment id.
        env_args: arguments of the environment.
        policy: initial weights: "tiny", a folder or a hub id; with "vllm:" in front, vLLM plays the rollouts.
        dtype: format that the model computes in, "float32" or "bfloat16"; the weights are float32.
        lora_rank: rank of the LoRA matrices that train instead of all weights; 0 trains all weights.
        split: split of the training questions.
        demonstrator: the scripted policy that SFT imitates.
        demonstrations: episodes to imitate per training question.
        demonstration_args: arguments of the environment to change while demonstrating. The World recipe plays another
            world, so that SFT shows many names and never a question of RL or of the test.
        sft: supervised fine-tuning; 0 steps skip it.
        validation: of SFT.
        rl: reinforcement learning; 0 steps skip it.
        checkpoint_every: RL steps between checkpoints; SFT writes one every ten times as many.
        fsdp: shard weights, gradients and optimizer over the processes.
    """

    env: str
    env_args: Mapping[str, EnvArgument] = field(default_factory=dict)
    policy: str = "tiny"
    dtype: str = "float32"
    lora_rank: int = 0
    split: str = "train"
    demonstrator: str = "random_order"
    demonstrations: int = 4
    demonstration_args: Mapping[str, EnvArgument] = field(default_factory=dict)
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


def episode_rules(config: TrainConfig, task: Task) -> dict[str, EnvArgument]:
    """The arguments that decide how an episode on a corpus is played; none on the World, where a preset decides."""
    if task.world:
        return {}
    ruled = {field.name for field in fields(EpisodeSpec)} & RULES.keys()
    return {name: config.env_args.get(name, RULES[name]) for name in sorted(ruled)}


def text_of(episode: Episode) -> str:
    """An episode for the view of a run: its messages, its reward and the accepted answers."""
    lines = [message["content"].strip() for message in episode.messages]
    return "\n".join(lines) + f"\n(reward {episode.reward:g}; answer: {' | '.join(episode.question.answers)})"


def split_for_validation(rows: TokenRows, config: TrainConfig) -> tuple[TokenRows, TokenRows]:
    """Splits demonstrations into rows to train on and rows to validate on.

    All rows of a question go to one side, so that validation asks only unseen questions.
    """
    num_questions = len(rows.ids) // config.demonstrations
    count = round(config.validation.share * num_questions)
    if config.validation.share and not 0 < count < num_questions:
        raise BerrypickError(
            f"a share of {config.validation.share} of {num_questions} demonstrated questions leaves none to learn from "
            "or none to validate on; change --sft-validation"
        )
    order = np.random.default_rng((config.sft.seed, 31)).permutation(num_questions)
    validated = set(order[:count].tolist())
    training: list[int] = []
    validation: list[int] = []
    for row in range(len(rows.ids)):
        (validation if row // config.demonstrations in validated else training).append(row)
    return rows.select(training), rows.select(validation)
