"""One cell of the tabular grid: imitate, train, evaluate exactly at every checkpoint and temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...envs.questions import Question
from ...envs.world.frontier import Frontier, fitted_frontier
from ...envs.world.world import build_world
from ...policies.tabular.kinds import KindWorld, kind_probabilities
from ...policies.tabular.training import TableConfig, demonstration_order, imitate, train_table
from ...policies.tabular.values import RowTable, exact_values
from .arms import Arm
from .condition import Condition
from .experiment import CellResult

__all__ = ["FRONTIER_K", "TableCell", "condition_frontier", "run_table_cell", "test_rows"]

FRONTIER_K = 8
TEMPERATURES = (0.0, 0.5, 0.7, 1.4, 2.0)
MIXES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class TableCell:
    """Everything that decides the numbers of a cell.

    Attributes:
        preset: see `Condition`.
        start: see `Condition`.
        arm: a name among the arms of the experiment.
        strength: the arm's; 0 where it has none.
        seed: of imitation, questions and rollouts.
        sizes: numbers of (training, test) questions.
        table: the training run.
    """

    preset: str
    start: str
    arm: str
    strength: float
    seed: int
    sizes: tuple[int, int]
    table: TableConfig

    @property
    def condition(self) -> Condition:
        """Where it is trained."""
        return Condition(self.preset, self.start)

    @property
    def key(self) -> str:
        """Names the cell's file."""
        return f"{self.condition.slug}/{self.arm}-{self.strength:g}/seed-{self.seed:02d}"

    def as_config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"policy": "tabular", **_by_name(self), "table": _by_name(self.table)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TableCell:
        """Inverse of `as_config`, also after a trip through JSON."""
        table = dict(config["table"])
        table["checkpoints"] = tuple(table["checkpoints"])
        rest = {key: value for key, value in config.items() if key not in ("policy", "table", "sizes")}
        return cls(**rest, sizes=tuple(config["sizes"]), table=TableConfig(**table))


def _by_name(settings: TableCell | TableConfig) -> dict[str, Any]:
    """Field -> value; `asdict` would copy the values of thousands of cells, none of which can change."""
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


@lru_cache(maxsize=8)
def _worlds(preset: str, sizes: tuple[int, int]) -> tuple[KindWorld, KindWorld, tuple[Question, ...]]:
    """Training questions and test questions of a preset as arrays, and the test questions themselves."""
    world = build_world(Condition(preset, "").world_config(*sizes))
    test = world.questions("test")
    return KindWorld.of(world.questions("train")), KindWorld.of(test), test


def test_rows(condition: Condition, sizes: tuple[int, int]) -> RowTable:
    """The test questions of a condition, counted by row."""
    return RowTable.of(_worlds(condition.preset, sizes)[1])


def condition_frontier(condition: Condition, sizes: tuple[int, int]) -> Frontier:
    """The exact frontier of a condition's own test questions, with few points where the questions are few."""
    return _frontier(condition.preset, sizes)


@lru_cache(maxsize=16)
def _frontier(preset: str, sizes: tuple[int, int]) -> Frontier:
    _, test, questions = _worlds(preset, sizes)
    return fitted_frontier(questions, test.budget, FRONTIER_K, num_points=33 if sizes[1] >= 256 else 5)


@lru_cache(maxsize=64)
def _start(preset: str, start: str, seed: int, sizes: tuple[int, int], table: TableConfig) -> NDArray[np.float64]:
    """The logits after imitation; all arms of a seed start from them."""
    world = _worlds(preset, sizes)[0]
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    order = demonstration_order(start, len(world.kinds), seed)
    imitate(logits, world, order, table, first_step=0, num_steps=table.sft_steps, seed=seed)
    return logits.detach().numpy().copy()


def run_table_cell(cell: TableCell, arm: Arm) -> CellResult:
    """Trains and evaluates.

    Returns:
        {"checkpoints": {step: measures}, "temperatures": {T: measures}, "mixes": {w: measures of the logits
        (1 - w) start + w end}, "rows": success of one episode of each row of the test questions at the end}.
    """
    torch.set_num_threads(1)
    world, test, _ = _worlds(cell.preset, cell.sizes)
    rows = test_rows(cell.condition, cell.sizes)
    start = _start(cell.preset, cell.start, cell.seed, cell.sizes, cell.table)
    trained = _trained(cell, arm, world, start)

    def measure(logits: NDArray[np.float64], temperature: float = 1.0) -> tuple[dict[str, float], NDArray[np.float64]]:
        chances = kind_probabilities(logits, temperature)
        return exact_values(rows, chances, test.budget, num_answers=test.num_answers, sets=arm.sets)

    def values(logits: NDArray[np.float64], temperature: float = 1.0) -> dict[str, float]:
        return {name: round(value, 7) for name, value in measure(logits, temperature)[0].items()}

    end = trained[max(trained)]
    return {
        "checkpoints": {str(step): values(logits) for step, logits in trained.items()},
        "temperatures": {f"{t:g}": values(end, t) for t in TEMPERATURES},
        "mixes": {f"{w:g}": values((1 - w) * start + w * end) for w in MIXES},
        "rows": np.round(measure(end)[1], 7).tolist(),
    }


def _trained(cell: TableCell, arm: Arm, world: KindWorld, start: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """RL step -> logits, at the checkpoints of the cell."""
    logits = torch.from_numpy(start.copy()).requires_grad_()
    if not arm.imitation:
        table, loss = arm.table(cell.table), arm.loss(cell.strength)
        return train_table(logits, world, loss, table, seed=cell.seed, rewards=arm.rewards, sets=arm.sets)
    # as many episodes as RL would play, imitated instead
    out, done = {}, 0
    order = demonstration_order(cell.start, len(world.kinds), cell.seed)
    for step in cell.table.checkpoints:
        first, count = cell.table.sft_steps + done, step - done
        imitate(logits, world, order, cell.table, first_step=first, num_steps=count, seed=cell.seed)
        out[step], done = logits.detach().numpy().copy(), step
    return out
