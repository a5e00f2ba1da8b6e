"""An arm against its control: price and waste add up to the difference, conditions are read once, series are frozen."""

from __future__ import annotations

import math

import pytest
from berrypick import BerrypickError
from berrypick.experiments.grid import Cell, Condition, Results, contrast, pick_arms
from berrypick.experiments.grid.comparison import compare_arm, frontier_distance, policy_frontier, waste
from berrypick.experiments.grid.contrasts import gather_evidence
from berrypick.experiments.grid.series import read_grid
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.grid.table_cells import test_rows as rows_of_questions
from berrypick.policies.tabular.training import TableConfig

PRICED = Condition("priced", "diverse")
SIZES = (32, 64)
ENDS = {
    ("darling", 0): (0.52, 0.745, 0.9),
    ("dr_grpo", 0): (0.55, 0.70, 0.7),
    ("darling", 1): (0.50, 0.75, 0.95),
    ("dr_grpo", 1): (0.56, 0.68, 0.6),
}


@pytest.fixture(scope="module")
def grid():
    cells, results = [], Results()
    for (arm, seed), (one, eight, breadth) in ENDS.items():
        strength = pick_arms(arm)[arm].middle[0]
        table = TableCell("priced", "diverse", arm, strength, seed, SIZES, TableConfig())
        cells.append(Cell(f"tabular/{table.key}", table.as_config()))
        start = {"pass@1": 0.5, "pass@8": 0.75, "breadth": 0.97}
        end = {"pass@1": one, "pass@8": eight, "breadth": breadth}
        rows = [0.5] * len(rows_of_questions(PRICED, SIZES).weights)
        results.done[cells[-1].key] = {"checkpoints": {"0": start, "200": end}, "rows": rows}
    return read_grid(results, cells, pick_arms("darling"))


def test_the_difference_is_price_minus_the_difference_of_wastes(grid):
    found = compare_arm(grid, "tabular", PRICED, "darling")
    assert (found.control, found.pass_at_1, found.pass_at_k) == ("dr_grpo", "pass@1", "pass@8")
    assert found.difference == {0: pytest.approx(-0.03), 1: pytest.approx(-0.06)}
    assert found.gain == {0: pytest.approx(0.045), 1: pytest.approx(0.07)}
    for seed in (0, 1):
        assert found.price[seed] < 0 < found.waste[seed]
        wastes = found.waste[seed] - found.control_waste[seed]
        assert found.difference[seed] == pytest.approx(found.price[seed] - wastes, abs=1e-9)
    # half way from breadth .97 at pass@1 .5 to .7 at .55
    assert found.matched[0] == pytest.approx(0.52 - (0.5 + 0.05 * (0.97 - 0.9) / 0.27))


def test_a_control_is_compared_with_nothing_and_an_arm_without_cells_neither(grid):
    assert compare_arm(grid, "tabular", PRICED, "dr_grpo") is None
    assert compare_arm(grid, "tabular", Condition("free", "diverse"), "darling") is None
    assert compare_arm(grid, "language model", PRICED, "darling") is None


def test_distances_to_the_frontier_are_horizontal_and_vertical(grid):
    series = grid.middle(PRICED, "darling")
    front = policy_frontier(grid, "tabular", PRICED)
    assert frontier_distance(grid, "tabular", PRICED, series)[0] == pytest.approx(front.value(0.52) - 0.745)
    saved = waste(grid, "tabular", PRICED, series)[0]
    assert front.value(0.52 + saved) == pytest.approx(0.745, abs=1e-6)


def test_contrasts_read_the_same_comparison(grid):
    common = ("priced/diverse", "darling", "pass@1", "decrease", 0.01)
    contrasts = [
        contrast("control", "", "design", *common),
        contrast("matched", "", "design", *common, against="matched"),
        contrast("start", "", "design", *common, against="start"),
        contrast("none", "", "design", *common, undecidable="no World has it"),
        contrast(
            "avoidable", "", "design", "priced/diverse", "darling", "avoidable_tax", "increase", 0.01, against="zero"
        ),
    ]
    evidence = gather_evidence(grid, contrasts)
    found = compare_arm(grid, "tabular", PRICED, "darling")
    assert evidence["control"].differences == list(found.difference.values())
    assert evidence["matched"].differences == list(found.matched.values())
    assert evidence["start"].differences == pytest.approx([0.02, 0.0])
    assert evidence["avoidable"].differences == list(found.waste.values())
    assert evidence["none"].undecidable == "no World has it"


def test_series_are_frozen(grid):
    series = grid.middle(PRICED, "darling")
    with pytest.raises(TypeError):
        series.results[5] = {}
    with pytest.raises(TypeError):
        grid.tabular[PRICED, "darling", 0.3] = series
    assert math.isnan(series.values("kind_entropy")[0])


def test_a_condition_is_read_from_its_name_and_makes_its_world():
    for name in ("priced/diverse", "steep-cue/narrow", "priced-answers/diverse"):
        assert Condition.of(name).name == name
    cue, answers = Condition.of("steep-cue/narrow"), Condition.of("priced-answers/diverse")
    assert (cue.has_cue, cue.has_answers, answers.has_cue, answers.has_answers) == (True, False, False, True)
    assert cue.slug == "steep-cue-narrow"
    config = cue.world_config(16, 8)
    assert (config.cue, config.num_train, config.num_test, config.budget) == (0.8, 16, 8, 3)
    assert answers.world_config(16, 8).num_answers == 3
    with pytest.raises(BerrypickError, match=r"did you mean priced"):
        Condition("prised", "diverse").world_config(1, 1)


def test_arms_are_picked_with_their_controls_and_unknown_ones_name_the_nearest():
    assert list(pick_arms("darling", "batch")) == ["darling", "batch", "dr_grpo", "grpo"]
    with pytest.raises(BerrypickError, match="did you mean darling"):
        pick_arms("darlin")
