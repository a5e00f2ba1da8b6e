"""One run of the tabular policy from its configuration: objective, World, seed; exact measures at checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...envs.world.world import WorldConfig, build_world
from ...retrieval_index.bounds import at_least, check_seeds
from ...retrieval_index.errors import BerrypickError
from .kinds import KindWorld, kind_probabilities
from .losses import objective_loss
from .training import Batch, TableConfig, train_table
from .values import RowTable, exact_values

__all__ = ["TabularConfig", "TabularRun", "train_tabular"]


@dataclass(frozen=True)
class TabularConfig:
    """One cell: an objective, a World, a seed.

    Attributes:
        objective: a registered name, with options after a colon.
        preset: of the World.
        world: further arguments of `WorldConfig`, e.g. {"seed": 3, "num_train": 128}.
        tables: "question" has a table for each training question and is measured on those questions; "shared" has one
            for each cue, as a policy has that cannot know a question by its name, and is measured on test questions.
        steps: updates.
        questions_per_step: groups an update.
        group_size: rollouts a question.
        learning_rate: of gradient descent on the logits, which start at 0.
        ks: the k of pass@k; the largest is also the group of breadth.
        checkpoints: steps at which the policy is measured; step 0 and the last always are.

    Raises:
        BerrypickError: a number out of range.
    """

    objective: str = "grpo"
    preset: str = "priced"
    world: dict[str, Any] = field(default_factory=dict)
    tables: Literal["question", "shared"] = "shared"
    steps: int = 200
    questions_per_step: int = 16
    group_size: int = 8
    learning_rate: float = 3.0
    ks: tuple[int, ...] = (1, 2, 4, 8, 16)
    checkpoints: tuple[int, ...] = (10, 20, 40, 80, 120, 160)
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(0, {"steps": self.steps, "learning_rate": self.learning_rate})
        at_least(1, {"questions_per_step": self.questions_per_step, "group_size": self.group_size})
        at_least(1, {"each k of ks": min(self.ks, default=0)})
        at_least(0, {"each of checkpoints": min(self.checkpoints, default=0)})
        check_seeds([self.seed])
        if self.tables not in ("question", "shared"):
            raise BerrypickError(f"tables must be question or shared, got {self.tables!r}")


@dataclass(frozen=True)
class TabularRun:
    """A trained cell.

    Attributes:
        config: what it follows from.
        checkpoints: step -> exact measures, see `exact_values`.
        rewards: mean training reward of each step.
        discovered: distinct right evidence paths of training questions met so far, after each step.
        logits: final, `KindWorld.table_shape`.
    """

    config: TabularConfig
    checkpoints: dict[int, dict[str, float]]
    rewards: tuple[float, ...]
    discovered: tuple[int, ...]
    logits: NDArray[np.float64]

    @property
    def first(self) -> dict[str, float]:
        """Measures before training."""
        return self.checkpoints[0]

    @property
    def last(self) -> dict[str, float]:
        """Measures after training."""
        return self.checkpoints[self.config.steps]


def train_tabular(config: TabularConfig) -> TabularRun:
    """Trains one cell from the uniform policy; a function of its configuration."""
    built = build_world(WorldConfig.from_preset(config.preset, **config.world))
    train = KindWorld.of(built.questions("train"), config.tables)
    test = train if config.tables == "question" else KindWorld.of(built.questions("test"))
    logits = torch.zeros(train.table_shape, dtype=torch.float64, requires_grad=True)
    loss = objective_loss(config.objective, reference=logits.detach().clone())
    rewards: list[float] = []
    discovered: list[int] = []
    paths: set[tuple[int, int]] = set()

    def watched(batch: Batch) -> Tensor:
        rewards.append(float(batch.rewards.mean()))
        paths.update(_right_paths(batch))
        discovered.append(len(paths))
        return loss(batch)

    wanted = sorted({0, config.steps, *(step for step in config.checkpoints if step < config.steps)})
    table = TableConfig(
        questions_per_step=config.questions_per_step,
        group_size=config.group_size,
        learning_rate=config.learning_rate,
        steps=config.steps,
        checkpoints=tuple(wanted),
    )
    kept = train_table(logits, train, watched, table, seed=config.seed)
    rows = RowTable.of(test)
    checkpoints = {}
    for step in wanted:
        chances = kind_probabilities(kept[step])
        checkpoints[step], _ = exact_values(
            rows, chances, test.budget, config.ks, num_answers=test.num_answers, group_size=max(config.ks)
        )
    return TabularRun(config, checkpoints, tuple(rewards), tuple(discovered), kept[config.steps])


def _right_paths(batch: Batch) -> set[tuple[int, int]]:
    """(question, relevant records shown) of the episodes that were rewarded."""
    _, relevant = batch.decisions.outcome_masks(len(batch.world.kinds))
    asked = np.repeat(batch.questions, batch.rewards.shape[1])
    right = batch.rewards.reshape(-1).numpy() > 0
    return set(zip(asked[right].tolist(), relevant[right].tolist()))
