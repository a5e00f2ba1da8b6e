"""Cells of a tabular policy that chooses a query format once an episode: trained runs, or neutral drift alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from ...envs.questions import Question
from ...envs.world.config import WorldConfig
from ...envs.world.world import build_world
from ...policies.objectives.registry import get_objective
from ...policies.objectives.shapes import ShuffledRewards
from ...policies.objectives.terms import KlK3
from ...policies.tabular.format_values import FormatPopulation, share_measures
from ...policies.tabular.formats import FormatRun, FormatWorld, train_formats
from ...policies.tabular.neutral_drift import neutral_drift
from .arms import Arm
from .condition import Condition
from .experiment import CellResult
from .measuring import Limits
from .table_cells import MEASURED_DIGITS, TableCell, condition_frontier
from .table_training import sft_start

__all__ = ["FORMAT_MEASURES", "RUNS", "run_format_cell"]

RUNS = 32
"""Trained side by side in each world; measures are means over them, and the world is the unit all the same."""

FORMAT_MEASURES = (
    "share_0", "share_1", "share_2", "largest_share", "takeover", "lead", "format_entropy", "wins_0", "wins_1",
    "wins_2", "pass@1", "pass@8", "pass@16", "pass@1_0", "pass@1_1", "pass@1_2",
)  # fmt: skip
"""See `FormatPopulation.values`."""


@lru_cache(maxsize=8)
def _training_formats(config: WorldConfig) -> FormatWorld:
    return FormatWorld.of(config, _questions(_sound(config)))


@lru_cache(maxsize=2)
def _questions(config: WorldConfig) -> tuple[Question, ...]:
    return build_world(config).questions("train")


def _sound(config: WorldConfig) -> WorldConfig:
    """The same World without failures: the same questions, which are demonstrated alike."""
    return replace(config, format_failures=())


def run_format_cell(cell: TableCell, arms: Mapping[str, Arm]) -> CellResult:
    """Trains `RUNS` policies and measures them exactly in the population at every checkpoint.

    Of the arm's objective, "grpo", "grpo_shuffled" and "kl" with its weight are known. Without an objective, formats
    drift as `neutral_drift` says, where wins are as likely as for the policies that GRPO trains; what such a cell says
    of success is that of these.

    Args:
        cell: what is run.
        arms: of the experiment.

    Returns:
        {"checkpoints": {step: measures}, "bounds": {measure: [low, high]}}.
    """
    condition, arm = cell.where, arms[cell.arm]
    config = condition.world_config(cell.world, cell.questions)
    world, population = _training_formats(config), FormatPopulation.of(config)
    start = sft_start(_sound(config), condition.start, cell.seed, cell.table)
    table = arm.table(cell.table)
    every = table if arm.objective else replace(table, checkpoints=tuple(range(table.steps + 1)))
    trained = train_formats(world, start, every, _run_of(arm, cell.strength), seed=cell.seed)
    values = {step: population.values(trained[step]) for step in table.checkpoints}
    if not arm.objective:
        drifted = neutral_drift(
            world.shares,
            {step: population.success(policies.kinds) for step, policies in trained.items()},
            population.patterns.weights,
            steps=table.steps,
            groups=table.questions_per_step,
            size=table.group_size,
            rate=table.learning_rate,
            checkpoints=table.checkpoints,
            seed=cell.seed,
        )
        values = {step: values[step] | share_measures(shares) for step, shares in drifted.items()}
    return {
        "checkpoints": {
            str(step): {name: round(one[name], MEASURED_DIGITS) for name in FORMAT_MEASURES if name in one}
            for step, one in values.items()
        },
        "bounds": {name: list(pair) for name, pair in format_limits(len(world.shares)).items()},
    }


def _run_of(arm: Arm, strength: float) -> FormatRun:
    objective = get_objective(arm.objective.format(f"{strength:g}") or "grpo")
    beta = sum(term.beta for term in objective.terms if isinstance(term, KlK3))
    return FormatRun(beta, isinstance(objective.shape, ShuffledRewards), RUNS)


def format_limits(formats: int) -> dict[str, Limits]:
    """The least and the largest value of what lies between known ones; pass@k as in a World whose formats never fail,
    which is what a policy that never uses a failing one has."""
    front = condition_frontier(Condition.of("priced/diverse"))
    return {
        "largest_share": (1 / formats, 1.0),
        "takeover": (0.0, 1.0),
        "lead": (0.0, 1.0),
        "format_entropy": (0.0, math.log(formats)),
        **{f"{name}_{form}": (0.0, 1.0) for name in ("share", "wins") for form in range(formats)},
        "pass@1": (0.0, front.best_order.pass_at_1),
        "pass@8": (0.0, front.widest.pass_at_k),
    }
