"""Room of the claims of language models: limits known on paper, over what their control had in the same Worlds."""

from __future__ import annotations

import json
import lzma
import math
from pathlib import Path

import pytest
from berrypick.experiments import EXPERIMENTS, open_experiment
from berrypick.experiments.grid import Cell, Condition, Results, contrast
from berrypick.experiments.grid.arms import ARMS
from berrypick.experiments.grid.language_bounds import answerable_share, population_limits
from berrypick.experiments.grid.language_cells import LanguageGrid
from berrypick.experiments.grid.page import registration_section
from berrypick.experiments.grid.report import grid_report
from berrypick.experiments.grid.room import language_rooms
from berrypick.experiments.grid.series import read_grid

PLACE = Condition.of("priced/diverse")
CELLS = LanguageGrid({PLACE: {"darling": 2, "dr_grpo": 2}}, {"darling": "darling", "dr_grpo": "dr_grpo"})
RESULTS = Path(__file__).parents[3] / "results"


def cells_of(ends, not_run=()):
    """Cells and results of {arm: [breadth of each world]}, all of which began at .9."""
    cells, results = [], Results()
    for arm, values in ends.items():
        for world, value in enumerate(values):
            cell = Cell(
                f"language/{arm}/{world}",
                {"policy": "language model", "condition": PLACE.name, "arm": arm, "seed": world},
            )
            cells.append(cell)
            if (arm, world) in not_run:
                results.not_run.append(cell.key)
                continue
            points = {"0": {"breadth_population": 0.9}, "200": {"breadth_population": value}}
            results.done[cell.key] = {"checkpoints": points}
    return cells, results


def claim(expected, effect, **options):
    where = (PLACE.name, "darling", "breadth_population")
    return contrast("c", "", "design", *where, expected, effect, policy="language model", min_worlds=2, **options)


def rooms(one, ends, not_run=()):
    cells, results = cells_of(ends, not_run)
    return language_rooms(read_grid(results, cells, ARMS), [one], CELLS)


ENDS = {"darling": [0.95, 0.85], "dr_grpo": [0.7, 0.5]}


def test_room_is_what_is_possible_over_what_the_arm_is_compared_with():
    (row,) = rooms(claim("increase", 0.1), ENDS)
    assert row == {"id": "c", "worlds": 2, "room": pytest.approx(0.4), "needed": pytest.approx(0.3), "undecidable": ""}
    assert rooms(claim("decrease", 0.1), ENDS)[0]["room"] == pytest.approx(0.6)
    assert rooms(claim("decrease", 0.1, against="start"), ENDS)[0]["room"] == pytest.approx(0.9)
    assert rooms(claim("increase", 0.1, relative=True), ENDS)[0]["room"] == pytest.approx((0.3 / 0.7 + 0.5 / 0.5) / 2)


def test_room_does_not_depend_on_what_the_arm_learned():
    other = {**ENDS, "darling": [0.1, 0.2]}
    for against in ("control", "start"):
        one = claim("increase", 0.1, against=against)
        assert rooms(one, ENDS)[0]["room"] == pytest.approx(rooms(one, other)[0]["room"])


def test_a_claim_has_no_room_before_all_its_cells_have_been_run():
    assert rooms(claim("increase", 0.1), ENDS, not_run={("dr_grpo", 1)}) == []
    assert language_rooms(read_grid(Results(), [], ARMS), [claim("increase", 0.1)], CELLS) == []


def test_a_claim_without_room_is_not_decidable_and_its_page_says_so():
    cells, results = cells_of(ENDS)
    asked = [claim("increase", 0.15)]
    report = grid_report("toy", 1, results, cells, "full", arms=ARMS, contrasts=asked, language_cells=CELLS)
    (row,) = report["verdicts"]
    why = "no room: at most 0.400 is possible in its Worlds, and 0.450 would be needed"
    assert (row["verdict"], row["reason"]) == ("not decidable here", why)
    heading, _, table = registration_section(report)
    assert heading == "## Room of language models" and table.splitlines()[-1].endswith(f"| {why} |")
    decided = grid_report("toy", 1, results, cells, "full", arms=ARMS, contrasts=asked)
    assert decided["verdicts"][0]["verdict"] != "not decidable here" and decided["language_rooms"] == []


def test_limits_are_those_that_follow_on_paper():
    # a hop has a record unless all kinds lack it; two hops, and a budget that allows no miss
    covered = 1 - 0.4 * 0.6 * 0.8
    assert answerable_share(Condition.of("tight_uneven/diverse")) == pytest.approx(covered**2)
    found = population_limits(Condition.of("tight_uneven/diverse"), 8, 64)
    assert found["pass@1_population"] == (0.0, pytest.approx(0.6**2, abs=1e-5))  # the best kind at both hops
    assert found["kind_entropy_population"] == (0.0, pytest.approx(math.log(3)))
    # a first query in three ways and a second in as many: nine, where the first hits; else six
    low, high = found["queries@64_population"]
    assert low == 1 and 6 < high < 9
    assert "queries@64_population" not in population_limits(Condition.of("tight_uneven/diverse"), 8)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if (RESULTS / name / "grid_cells.jsonl.xz").is_file()])
def test_no_published_value_lies_outside_its_limits(name):
    experiment = open_experiment(name)
    if experiment.language is None:
        pytest.skip("it has no language models")
    with lzma.open(RESULTS / name / "grid_cells.jsonl.xz", "rt") as lines:
        found = [row for row in map(json.loads, lines) if row["key"].startswith("language/")]
    for row in found:
        limits = experiment.language.limits(Condition.of(row["config"]["condition"]))
        for step, values in row["result"]["checkpoints"].items():
            for measure, (low, high) in limits.items():
                # of 256 test questions a little more may be answered than of all that the World can ask
                slack = 0.05 if measure in ("pass@1", "pass@8", "system") else 1e-6
                value = values.get(measure, math.nan)
                assert math.isnan(value) or low - slack <= value <= high + slack, (row["key"], step, measure, value)
