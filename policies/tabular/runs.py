"""One training run of the tabular policy: objective, World and seed in, exact measures at checkpoints out."""

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
    """A run of the tabular policy.

    Attributes:
        objective: a registered name, with options after a colon.
        preset: preset of the World.
        world: further arguments of `WorldConfig`, e.g. {"seed": 3, "num_train": 128}.
        tables: "question" has a table for each training question and measures on those questions; "shared" has one
            per cue, like a policy that cannot recognise a question, and measures on the test questions.
        steps: updates.
        questions_per_step: groups per update.
        group_size: rollouts per question.
        learning_rate: of gradient descent on the logits, which start at 0.
        ks: values of k for pass@k; the largest is also the group size of breadth.
        checkpoints: steps at which to measure; step 0 and the last step are always measured.
        seed: of the run.
        epochs: updates per step, on the same rollouts.

    Raises:
        BerrypickError: a number is out of range.
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
    epochs: int = 1

    def __post_init__(self) -> None:
        at_least(0, {"steps": self.steps, "learning_rate": self.learning_rate})
        for name in ("questions_per_step", "group_size", "epochs"):
            at_least(1, {name: getattr(self, name)})
        at_least(1, {"each k of ks": min(self.ks, default=0)})
        at_least(0, {"each of checkpoints": min(self.checkpoints, default=0)})
        check_seeds([self.seed])
        if self.tables not in ("question", "shared"):
            raise BerrypickError(f'tables must be "question" or "shared", got {self.tables!r}')


@dataclass(frozen=True)
class TabularRun:
    """The outcome of a run.

    Attributes:
        config: its configuration.
        checkpoints: step -> exact measures, see `exact_values`.
        rewards: mean training reward of each step.
        discovered: after each step, the number of distinct right evidence paths found so far on training questions.
        logits: final logits, shape `KindWorld.table_shape`.
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

    def population(self) -> dict[str, float]:
        """Measures after training over all questions that the World can draw, see `exact_values`.

        Raises:
            BerrypickError: the run has a table for each of its questions, so it has no policy for others.
        """
        if self.config.tables != "shared":
            raise BerrypickError('a table for each question has no values over all questions; use tables="shared"')
        world = WorldConfig.from_preset(self.config.preset, **self.config.world)
        chances = kind_probabilities(self.logits)
        rows, ks = RowTable.population(world), self.config.ks
        answers = world.num_answers
        return exact_values(rows, chances, world.budget, ks, num_answers=answers, group_size=max(ks))[0]


def train_tabular(config: TabularConfig) -> TabularRun:
    """Trains the tabular policy from uniform logits; the result depends only on the configuration.

    Raises:
        BerrypickError: a query format of the World fails: this policy does not choose formats, see `formats.py`.
    """
    world = WorldConfig.from_preset(config.preset, **config.world)
    if world.has_failures:
        raise BerrypickError("this tabular policy chooses no query format, so none may fail; leave out format_failures")
    built = build_world(world)
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
        epochs=config.epochs,
        checkpoints=tuple(wanted),
    )
    logits_at = train_table(logits, train, watched, table, seed=config.seed)
    rows = RowTable.of(test)
    checkpoints = {}
    for step in wanted:
        chances = kind_probabilities(logits_at[step])
        checkpoints[step], _ = exact_values(
            rows, chances, test.budget, config.ks, num_answers=test.num_answers, group_size=max(config.ks)
        )
    return TabularRun(config, checkpoints, tuple(rewards), tuple(discovered), logits_at[config.steps])


def _right_paths(batch: Batch) -> set[tuple[int, int]]:
    """(question, relevant records shown) of the rewarded episodes."""
    _, relevant = batch.decisions.outcome_masks(len(batch.world.kinds))
    asked = np.repeat(batch.questions, batch.rewards.shape[1])
    right = batch.rewards.reshape(-1).numpy() > 0
    return set(zip(asked[right].tolist(), relevant[right].tolist()))
