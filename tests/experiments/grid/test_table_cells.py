"""Cells of the tabular policy, valued again by enumeration of questions and orders, and by a frontier of its own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from berrypick.experiments.grid import ARMS, Condition, GridExperiment
from berrypick.experiments.grid.comparison import compare_arm, waste
from berrypick.experiments.grid.table_cells import TableCell, run_table_cell
from berrypick.experiments.grid.table_training import sft_start, train_arm, training_world
from berrypick.policies.tabular.training import TableConfig
from fixtures.hand_made import grid_of
from fixtures.planted import best_pass_at_1, episode_success, policy_values

TABLE = TableConfig(sft_steps=20, steps=12, checkpoints=(0, 6, 12), learning_rate=3.0)
HOPS, BUDGET, KINDS = 2, 3, 3
CUE = 0.8
ONE = {"priced": [(1.0, (0.6, 0.5, 0.4), HOPS)], "steep": [(1.0, (0.8, 0.4, 0.2), HOPS)]}
ONE["priced-cue"] = [
    (1 / 3, tuple(a + CUE * (1 - a) if kind == cue else (1 - CUE) * a for kind, a in enumerate((0.6, 0.5, 0.4))), HOPS)
    for cue in range(KINDS)
]


def cell_of(condition, arm, *, questions=48, strength=None, world=1003):
    at = ARMS[arm].middle[0] if strength is None else strength
    return TableCell(condition, arm, at, 3, world, questions, arm == "dr_grpo", TABLE)


def logits_of(cell, arm):
    """The logits at every checkpoint, trained once more."""
    config = cell.where.world_config(cell.world, cell.questions)
    start = sft_start(config, cell.where.start, cell.seed, cell.table)
    return train_arm(
        training_world(config), arm, cell.strength, start, cell.table, seed=cell.seed, demos=cell.where.start
    )


@pytest.mark.parametrize(
    ("condition", "name"),
    [("priced/diverse", "dr_grpo"), ("steep/diverse", "darling"), ("priced-cue/diverse", "pass_mix")],
)
@pytest.mark.slow
def test_a_cells_values_are_those_of_all_questions_and_orders(condition, name):
    parts = ONE[Condition.of(condition).preset]
    runs = {arm: cell_of(condition, arm) for arm in (name, "dr_grpo")}
    found = {arm: run_table_cell(cell, ARMS[arm]) for arm, cell in runs.items()}
    ends = {}
    for arm, cell in runs.items():
        trained = logits_of(cell, ARMS[arm])
        for step in (0, 12):
            ends[arm, step] = policy_values(trained[step], parts, BUDGET)
            stored = found[arm]["checkpoints"][str(step)]
            assert (stored["pass@1"], stored["pass@8"]) == pytest.approx(ends[arm, step], abs=1e-9)
        assert abs(ends[arm, 12][0] - ends[arm, 0][0]) > 1e-4  # it has learnt something
    most = {arm: best_pass_at_1(parts, BUDGET, KINDS, ends[arm, 12][1]) for arm in runs}
    grid = grid_of({(condition, arm, 3): result for arm, result in found.items()})
    for arm in runs:
        found_waste = waste("tabular", Condition.of(condition), grid.middle(Condition.of(condition), arm))
        assert found_waste == {3: pytest.approx(most[arm] - ends[arm, 12][0], abs=2e-5)}
    if name != "dr_grpo":
        compared = compare_arm(grid, "tabular", Condition.of(condition), name)
        assert compared.price[3] == pytest.approx(most[name] - most["dr_grpo"], abs=3e-5)
        assert compared.difference[3] == pytest.approx(ends[name, 12][0] - ends["dr_grpo", 12][0], abs=2e-9)


def test_curves_end_where_the_run_ends_and_mixes_are_of_weights():
    cell = cell_of("priced/diverse", "dr_grpo")
    found, trained = run_table_cell(cell, ARMS["dr_grpo"]), logits_of(cell, ARMS["dr_grpo"])
    half = policy_values(0.5 * trained[0] + 0.5 * trained[12], ONE["priced"], BUDGET)
    assert found["mixes"]["0.5"]["pass@1"] == pytest.approx(half[0], abs=1e-9)
    hot = policy_values(trained[12] / 2, ONE["priced"], BUDGET)
    assert found["temperatures"]["2"]["pass@8"] == pytest.approx(hot[1], abs=1e-9)
    assert set(run_table_cell(cell_of("priced/diverse", "darling"), ARMS["darling"])) == {"checkpoints"}
    assert json.loads(json.dumps(found)) == found


def test_arms_of_a_replicate_start_from_one_policy_and_worlds_differ():
    first, other = (
        run_table_cell(cell_of("priced/diverse", "dr_grpo", world=world), ARMS["dr_grpo"])["checkpoints"]
        for world in (1003, 1004)
    )
    second = run_table_cell(cell_of("priced/diverse", "darling"), ARMS["darling"])["checkpoints"]
    assert first["0"] == second["0"] and first["12"] != second["12"]
    assert first["12"] != other["12"]


def own_values(cell, trained, tables):
    """pass@1 and pass@8 over the training questions, one by one."""
    world = training_world(cell.where.world_config(cell.world, cell.questions))
    chances = []
    for question, present in enumerate(world.present):
        table = trained[tables[question]]
        kinds = [{kind for kind in range(KINDS) if row[kind]} for row in present]
        chances.append(episode_success(table, kinds, BUDGET))
    p = np.array(chances)
    return p.mean(), (1 - (1 - p) ** 8).mean()


@pytest.mark.parametrize("condition", ["priced/diverse/questions=32/own", "priced-cue/diverse/questions=32/own"])
def test_an_own_condition_is_valued_on_its_training_questions(condition):
    cell = cell_of(condition, "dr_grpo", questions=32)
    found = run_table_cell(cell, ARMS["dr_grpo"])["checkpoints"]
    world = training_world(cell.where.world_config(cell.world, 32))
    trained = logits_of(cell, ARMS["dr_grpo"])
    values = own_values(cell, trained[12], world.table)
    assert (found["12"]["pass@1"], found["12"]["pass@8"]) == pytest.approx(values, abs=1e-9)
    # the same policy in the population is another number
    population = run_table_cell(replace(cell, condition=condition.replace("/own", "")), ARMS["dr_grpo"])["checkpoints"]
    assert abs(population["12"]["pass@1"] - values[0]) > 1e-3
    # a table for each question starts where the shared table is, and then goes its own way
    arm = replace(ARMS["dr_grpo"], own_tables=True)
    own = run_table_cell(cell, arm)["checkpoints"]
    assert own["0"] == pytest.approx(found["0"], abs=1e-9)
    assert own["12"]["pass@1"] != found["12"]["pass@1"]


def test_arms_with_own_tables_run_only_where_values_are_their_own():
    arms = {"mine": replace(ARMS["dr_grpo"], own_tables=True), "dr_grpo": ARMS["dr_grpo"]}
    names = ("priced/diverse", "priced/diverse/questions=256/own")
    grid = GridExperiment("own", "", tuple(map(Condition.of, names)), (), arms=arms)
    found = [
        (cell.config["condition"], cell.config["arm"], cell.config["questions"]) for cell in grid.cells("small", 1)
    ]
    assert found == [(names[0], "dr_grpo", 4096), (names[1], "mine", 256), (names[1], "dr_grpo", 256)]
