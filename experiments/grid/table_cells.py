"""One cell of the tabular grid: imitate, train, evaluate exactly in the population at every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...envs.world.config import WorldConfig
from ...envs.world.population import PopulationFrontier, population_frontier
from ...policies.tabular.candidates import candidate_bounds, candidate_values
from ...policies.tabular.kinds import KindWorld, kind_probabilities
from ...policies.tabular.training import TableConfig
from ...policies.tabular.values import RowTable, distinct_first_success, exact_values
from ...retrieval_index.errors import BerrypickError
from .arms import Arm
from .condition import Condition
from .experiment import CellResult
from .measuring import Beside, Measuring, RunMeasures
from .table_training import sft_start, train_arm, training_world

__all__ = [
    "FRONTIER_K",
    "TableCell",
    "condition_frontier",
    "run_table_cell",
]

FRONTIER_K = 8
TEMPERATURES = (0.0, 0.25, 0.5, 0.7, 0.85, 1.2, 1.4, 2.0, 4.0)
MIXES = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
DIGITS, MEASURED_DIGITS = 9, 7


@dataclass(frozen=True, slots=True)
class TableCell:
    """Everything that decides the numbers of a cell.

    Attributes:
        condition: name of a `Condition`.
        arm: a name among the arms of the experiment.
        strength: the arm's; 0 where it has none.
        seed: of imitation, order of questions and rollouts; the replicate.
        world: seed of the World, one for each replicate.
        questions: number of training questions.
        curves: whether the end is also evaluated at other temperatures and mixed with the start, as controls are.
        table: the training run.
    """

    condition: str
    arm: str
    strength: float
    seed: int
    world: int
    questions: int
    curves: bool
    table: TableConfig

    @property
    def where(self) -> Condition:
        """Where it is trained."""
        return Condition.of(self.condition)

    @property
    def key(self) -> str:
        """Names the cell's file."""
        return f"{self.where.slug}/{self.arm}-{self.strength:g}/world-{self.world}"

    def as_config(self) -> dict[str, Any]:
        """JSON-able."""
        return {"policy": "tabular", **_by_name(self), "table": _by_name(self.table)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TableCell:
        """Inverse of `as_config`, also after a trip through JSON."""
        table = dict(config["table"])
        table["checkpoints"] = tuple(table["checkpoints"])
        rest = {key: value for key, value in config.items() if key not in ("policy", "table")}
        return cls(**rest, table=TableConfig(**table))


def _by_name(settings: TableCell | TableConfig) -> dict[str, Any]:
    """Field -> value; `asdict` would copy the values of thousands of cells, none of which can change."""
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def condition_frontier(condition: Condition) -> PopulationFrontier:
    """The exact frontier of a condition's population; only for conditions that have one."""
    return _frontier(replace(condition.world_config(), num_train=1, seed=0))


@lru_cache(maxsize=64)
def _frontier(config: WorldConfig) -> PopulationFrontier:
    return population_frontier(config, FRONTIER_K)


def run_table_cell(
    cell: TableCell, arm: Arm, measuring: Measuring | None = None, beside: Beside | None = None
) -> CellResult:
    """Trains and evaluates.

    Args:
        cell: what is run.
        arm: of the cell's name.
        measuring: of the experiment, where it replaces the exact values in the population.
        beside: of the experiment, where it adds to them at every checkpoint.

    Returns:
        {"checkpoints": {step: measures}}, and for a cell with curves also {"temperatures": {T: measures}, "mixes": {w:
        measures of the logits (1 - w) start + w end}, "distinct_first": see `distinct_first_success`}. With `measuring`
        or `beside` also "bounds", {measure: [low, high]}; with `measuring` nothing but these and the checkpoints. An
        arm with candidates has the measures of `candidate_values`, and bounds instead of "distinct_first".
    """
    torch.set_num_threads(1)
    condition = cell.where
    config = condition.world_config(cell.world, cell.questions)
    shared, world = training_world(config), training_world(config, "question" if arm.own_tables else "shared")
    start = sft_start(config, condition.start, cell.seed, cell.table)
    if arm.own_tables:
        start = start[shared.table]  # each question begins with what its cue's table learnt
    if measuring is not None:
        return _measured_cell(cell, arm, world, start, measuring(world, start, cell.seed))
    if arm.candidates and not condition.shares:
        raise BerrypickError(f"start {condition.start!r} demonstrates no candidates; give a start in shares")
    world = replace(world, candidates=arm.candidates)
    trained = train_arm(world, arm, cell.strength, start, cell.table, seed=cell.seed, demos=condition.start)
    rows = RowTable.of(world) if condition.own or arm.candidates else RowTable.population(config)

    def values(logits: NDArray[np.float64], temperature: float = 1.0) -> dict[str, float]:
        chances = kind_probabilities(logits, temperature, repeats=arm.candidates > 0)
        if arm.candidates:
            found = candidate_values(config, chances, arm.candidates)
        else:
            found, _ = exact_values(rows, chances, world.budget, num_answers=world.num_answers, sets=arm.sets)
        return {name: round(value, DIGITS) for name, value in found.items()}

    end = trained[max(trained)]
    out: CellResult = {"checkpoints": {str(step): values(logits) for step, logits in trained.items()}}
    if beside is not None:
        added = beside(rows, world, start)
        for step, logits in trained.items():
            out["checkpoints"][str(step)] |= _rounded(added.values(logits))
        out["bounds"] = _bounds(added.bounds())
    if cell.curves:
        out["temperatures"] = {f"{t:g}": values(end, t) for t in TEMPERATURES}
        out["mixes"] = {f"{w:g}": values((1 - w) * start + w * end) for w in MIXES}
    if cell.curves and not arm.candidates:
        spread = distinct_first_success(rows, kind_probabilities(end), world.budget, FRONTIER_K)
        out["distinct_first"] = round(spread, DIGITS)
    if arm.candidates:
        out["bounds"] = {name: list(pair) for name, pair in candidate_bounds(config).items()}
    return out


def _measured_cell(
    cell: TableCell, arm: Arm, world: KindWorld, start: NDArray[np.float64], measures: RunMeasures
) -> CellResult:
    """Trains, and measures what the experiment asks for alone."""
    demos = cell.where.start
    trained = train_arm(world, arm, cell.strength, start, cell.table, seed=cell.seed, demos=demos, see=measures.see)
    return {
        "checkpoints": {str(step): _rounded(measures.values(step, logits)) for step, logits in trained.items()},
        "bounds": _bounds(measures.bounds()),
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, MEASURED_DIGITS) for name, value in values.items()}


def _bounds(found: Mapping[str, tuple[float, float]]) -> dict[str, list[float]]:
    return {name: [round(value, MEASURED_DIGITS) for value in pair] for name, pair in found.items()}
