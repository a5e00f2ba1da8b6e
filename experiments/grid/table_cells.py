"""One cell of the tabular grid: imitate, train, evaluate exactly at every checkpoint and temperature."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...envs.questions import Question
from ...envs.world.frontier import Frontier, question_frontier
from ...envs.world.world import WorldConfig, build_world
from ...policies.tabular.kinds import KindWorld, kind_probabilities
from ...policies.tabular.training import TableConfig, demonstration_order, imitate, train_table
from ...policies.tabular.values import RowTable, exact_values
from .arms import ARMS, Arm

__all__ = ["FRONTIER_K", "TableCell", "condition_frontier", "run_table_cell", "test_rows"]

FRONTIER_K = 8
TEMPERATURES = (0.0, 0.5, 0.7, 1.4, 2.0)
MIXES = (0.25, 0.5, 0.75)
WORLD_SEED = 0
CUE_SUFFIX, CUE = "-cue", 0.8
"""A preset of that ending is the World of the name before it, with a word in each question that favours a kind."""
ANSWERS_SUFFIX, ANSWERS, ANSWERS_BUDGET = "-answers", 3, 4
"""A preset of that ending has as many conflicting answers as kinds, and a query more to look for further ones."""


@dataclass(frozen=True, slots=True)
class TableCell:
    """What decides a cell's numbers.

    Attributes:
        preset: of the World.
        start: "narrow" or "diverse" demonstrations.
        arm: see `diversity_tax_arms.py`.
        strength: of the arm; 0 where it has none.
        seed: of imitation, questions and rollouts.
        sizes: questions of (training, test).
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
    def condition(self) -> str:
        """ "preset/start"."""
        return f"{self.preset}/{self.start}"

    @property
    def key(self) -> str:
        """Names the cell's file."""
        return f"{self.preset}-{self.start}/{self.arm}-{self.strength:g}/seed-{self.seed:02d}"

    def as_config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"policy": "tabular", **_by_name(self), "table": _by_name(self.table)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TableCell:
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
    """Training and test questions of a preset, the latter also as they are."""
    knobs: dict[str, Any] = {"num_train": sizes[0], "num_validation": 0, "num_test": sizes[1], "seed": WORLD_SEED}
    if preset.endswith(CUE_SUFFIX):
        knobs["cue"] = CUE
    elif preset.endswith(ANSWERS_SUFFIX):
        knobs |= {"num_answers": ANSWERS, "budget": ANSWERS_BUDGET}
    config = WorldConfig.from_preset(preset.removesuffix(CUE_SUFFIX).removesuffix(ANSWERS_SUFFIX), **knobs)
    world = build_world(config)
    test = world.questions("test")
    return KindWorld.of(world.questions("train")), KindWorld.of(test), test


def test_rows(preset: str, sizes: tuple[int, int]) -> RowTable:
    """The test questions of a preset, counted by row."""
    return RowTable.of(_worlds(preset, sizes)[1])


@lru_cache(maxsize=16)
def condition_frontier(preset: str, sizes: tuple[int, int]) -> Frontier:
    """The exact frontier of a preset's own test questions, with few points where the questions are few."""
    _, test, questions = _worlds(preset, sizes)
    return question_frontier(questions, test.budget, FRONTIER_K, num_points=33 if sizes[1] >= 256 else 5)


@lru_cache(maxsize=64)
def _start(preset: str, start: str, seed: int, sizes: tuple[int, int], table: TableConfig) -> NDArray[np.float64]:
    """The imitated table; all arms of a seed begin at it."""
    world = _worlds(preset, sizes)[0]
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    order = demonstration_order(start, len(world.kinds), seed)
    imitate(logits, world, order, table, first_step=0, num_steps=table.sft_steps, seed=seed)
    return logits.detach().numpy().copy()


def run_table_cell(cell: TableCell) -> dict[str, Any]:
    """Trains and evaluates.

    Returns:
        {"checkpoints": {step: measures}, "temperatures": {T: measures}, "mixes": {w: measures of the table
        (1 - w) start + w end}, "rows": success of one episode of each row of the test questions at the end}.
    """
    torch.set_num_threads(1)
    world, test, _ = _worlds(cell.preset, cell.sizes)
    rows = test_rows(cell.preset, cell.sizes)
    arm = ARMS[cell.arm]
    start = _start(cell.preset, cell.start, cell.seed, cell.sizes, cell.table)
    kept = _trained(cell, arm, world, start)

    how: dict[str, Any] = {"num_answers": test.num_answers, "sets": arm.sets}

    def values(logits: NDArray[np.float64], temperature: float = 1.0) -> dict[str, float]:
        measures, _ = exact_values(rows, kind_probabilities(logits, temperature), test.budget, **how)
        return {name: round(value, 7) for name, value in measures.items()}

    end = kept[max(kept)]
    _, success = exact_values(rows, kind_probabilities(end), test.budget, **how)
    return {
        "checkpoints": {str(step): values(logits) for step, logits in kept.items()},
        "temperatures": {f"{t:g}": values(end, t) for t in TEMPERATURES},
        "mixes": {f"{w:g}": values((1 - w) * start + w * end) for w in MIXES},
        "rows": np.round(success, 7).tolist(),
    }


def _trained(cell: TableCell, arm: Arm, world: KindWorld, start: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    logits = torch.from_numpy(start.copy()).requires_grad_()
    if arm.imitation:
        # the same number of episodes as RL, imitated instead
        kept, done = {}, 0
        order = demonstration_order(cell.start, len(world.kinds), cell.seed)
        for step in cell.table.checkpoints:
            imitate(
                logits,
                world,
                order,
                cell.table,
                first_step=cell.table.sft_steps + done,
                num_steps=step - done,
                seed=cell.seed,
            )
            done, kept[step] = step, logits.detach().numpy().copy()
        return kept
    table = arm.table(cell.table)
    return train_table(
        logits, world, arm.loss(cell.strength), table, seed=cell.seed, rewards=arm.rewards, sets=arm.sets
    )
