"""A cell of the critique loop: a table trains itself for some rounds, from the base, and is measured after each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ...policies.kind_shares import shares_of
from ...policies.tabular.retry_rounds import CRITIQUE, Loop, play_round, seed_demonstrations
from ...policies.tabular.row_table import RowTable
from .critique_measures import Evaluation, accepted_values
from .experiment import CellResult
from .table_cells import MEASURED_DIGITS, TableCell
from .table_training import training_world

__all__ = ["critique_procedure", "run_critique_cell"]


def run_critique_cell(cell: TableCell, loop: Loop) -> CellResult:
    """Trains and measures an arm; its strength is the number of first attempts.

    Returns:
        {"checkpoints": {round: measures}, "bounds": see `Evaluation.bounds`}; round 0 is the start, which has no
        accepted episodes.
    """
    config = cell.where.world_config(cell.world, cell.questions)
    present = training_world(config).present
    seeds = seed_demonstrations(present, config, shares_of(cell.where.start, len(config.kinds)), cell.seed)
    actor, beside = (seeds.fit([]) for _ in range(2))
    evaluation = Evaluation.of(RowTable.population(config), config, actor)
    hard = evaluation.hard[evaluation.rows_of(present)]
    solvable = evaluation.solvable[evaluation.rows_of(present)]
    checkpoints = {"0": evaluation.values(actor)}
    first_share, samples = float("nan"), int(cell.strength)
    for number in range(cell.table.steps):
        most = 0
        if loop.equal_cost:  # plays the loop that it must not outspend, which has policies of its own
            model = play_round(present, config, beside, CRITIQUE, samples, seed=cell.seed, number=number)
            most, beside = model.retry_cost, seeds.fit(model.accepted)
        played = play_round(present, config, actor, loop, samples, seed=cell.seed, number=number, most=most)
        actor = seeds.fit(played.accepted, keeps_comments=loop.keeps_comments)
        found = accepted_values(played, hard, solvable, len(config.kinds))
        first_share = found["hard_share"] if number == 0 else first_share
        found["hard_share_change"] = found["hard_share"] - first_share
        checkpoints[str(number + 1)] = {**evaluation.values(actor), **found}
    return {
        "checkpoints": {
            step: {name: round(value, MEASURED_DIGITS) for name, value in values.items()}
            for step, values in checkpoints.items()
        },
        "bounds": {
            name: [round(value, MEASURED_DIGITS) for value in pair]
            for name, pair in evaluation.bounds(present, samples).items()
        },
    }


def critique_procedure(loops: Mapping[str, Loop]) -> Callable[[TableCell], CellResult]:
    """The `procedure` of an experiment whose arms are these loops."""
    return partial(_run, loops)  # processes and Ray get a copy of it, which a function made here could not be


def _run(loops: Mapping[str, Loop], cell: TableCell) -> CellResult:
    return run_critique_cell(cell, loops[cell.arm])
