"""Critique in the loop: its claims and arms, a smoke run and its page, and a row computed again."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.experiments.critique_loop import CONTRASTS, EVEN, EXPERIMENT, LOOPS, PLAIN, REVERSED, ROOMY, TIGHT
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.critique_cells import run_critique_cell
from berrypick.experiments.grid.critique_measures import CRITIQUE_MEASURES
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.registry import EXPERIMENTS, open_experiment
from berrypick.policies.tabular.training import TableConfig
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
)

TABULAR = [one for one in CONTRASTS if one.policy == "tabular"]


# Claims and cells


def test_claims_are_t10_in_three_worlds_with_controls_and_read_measures_that_exist():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids) and len(TABULAR) == 31
    for one in TABULAR:
        assert one.arm in EXPERIMENT.arms_of[one.condition] and one.measure in CRITIQUE_MEASURES
        assert one.against in ("control", "start", "zero", *EXPERIMENT.arms)
    t10 = {(one.condition.name, one.measure) for one in TABULAR if one.claim.source.endswith("(T10)")}
    measures = ("hard_share", "hard_share_change", "pass@1_hard")
    assert t10 == {(place, measure) for place in (TIGHT, ROOMY, REVERSED) for measure in measures}


def test_worlds_are_those_of_no_other_experiment():
    cells = EXPERIMENT.cells("full", 24)
    worlds = {cell.config["world"] for cell in cells if cell.key.startswith("tabular/")}
    assert worlds == set(range(1700, 1724))
    assert {cell.config["world"] for cell in cells if cell.key.startswith("pilot/")} == {1790, 1791, 1792, 1793}
    for name in ("darling", "squeeze", "preference_tuning", "vector_policy", "outcome_exploration"):
        others = open_experiment(name).cells("full", 24)
        assert not worlds & {cell.config["world"] for cell in others if cell.key.startswith("tabular/")}


def test_passages_have_four_facts_but_in_the_control_and_rounds_are_three():
    clauses = {place: Condition.of(place).world_config().clauses for place in (TIGHT, ROOMY, REVERSED, EVEN, PLAIN)}
    assert list(clauses.values()) == [4, 4, 4, 4, 1]
    assert EXPERIMENT.table.steps == 3 and EXPERIMENT.table.checkpoints == (0, 1, 2, 3)
    assert set(LOOPS) == set(EXPERIMENT.arms) and all(arm.middle == (5.0,) for arm in EXPERIMENT.arms.values())


def test_the_summary_is_the_registered_one():
    assert EXPERIMENTS.find("critique_loop").summary == EXPERIMENT.summary


def test_claims_were_committed_before_any_result():
    check_claims_came_first("critique_loop")


# A cell


def cell_of(arm, place=TIGHT, **table):
    few = TableConfig(**{"steps": 2, "checkpoints": (0, 1, 2), **table})
    return run_critique_cell(TableCell(place, arm, 5.0, 790, 1790, 512, False, few), LOOPS[arm])


def test_a_cell_has_every_measure_and_its_bounds_hold():
    cell = cell_of("critique")
    assert list(cell["checkpoints"]) == ["0", "1", "2"]
    for step in ("1", "2"):
        assert set(cell["checkpoints"][step]) == set(CRITIQUE_MEASURES)
        for name, (low, high) in cell["bounds"].items():
            assert low <= cell["checkpoints"][step][name] <= high, name
    assert "hard_share" not in cell["checkpoints"]["0"]
    assert cell["checkpoints"]["1"]["hard_share_change"] == 0


def test_arms_share_a_start_and_differ_as_their_comments_do():
    cells = {arm: cell_of(arm)["checkpoints"] for arm in LOOPS}
    assert all(one["0"] == cells["resample"]["0"] for one in cells.values())
    assert cells["hop_only"] == cells["check_again"]
    assert cells["critique"]["1"]["repaired"] > cells["shuffled"]["1"]["repaired"]
    assert cells["critique"]["1"]["repaired"] > cells["check_again"]["1"]["repaired"]
    assert cells["no_retry"]["2"]["generations"] == 5
    blind, told = cells["equal_cost"], cells["critique"]
    for step in ("1", "2"):
        first = 5 * 2  # in a tight World every attempt makes two searches, those from a wrong name included
        assert blind[step]["cost"] == pytest.approx(told[step]["cost"], abs=0.01)
        assert told[step]["cost"] == pytest.approx(first + 3 * (told[step]["generations"] - 5))


def test_without_misreading_check_again_is_a_blind_retry():
    plain = {arm: cell_of(arm, PLAIN)["checkpoints"]["2"] for arm in ("resample", "check_again")}
    for name in set(CRITIQUE_MEASURES) - {"cost"}:
        assert plain["resample"][name] == plain["check_again"][name], name


def test_round_by_round_is_from_the_base_and_does_not_depend_on_how_many_follow():
    one, two = cell_of("critique", steps=1, checkpoints=(0, 1)), cell_of("critique")
    assert one["checkpoints"]["1"] == two["checkpoints"]["1"]


# A run, its page, and its rows


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("critique_loop")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=18)
    _, report = smoke
    assert list(report["conditions"]) == [TIGHT]
    assert list(report["conditions"][TIGHT]["arms"]) == list(LOOPS)


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Claims and verdicts", "Accepted data", "Comments at test time", "Limits", "Reproduce")
    check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings)


def test_the_page_is_regenerated_from_the_committed_report():
    report = check_committed_page(EXPERIMENT, most_bytes=1_700_000)
    assert {TIGHT, ROOMY, REVERSED, PLAIN, EVEN} == set(report["conditions"])
    rows = report["conditions"][TIGHT]["arms"]
    assert np.isclose(*(rows[arm]["5"]["measures"]["hard_share"]["value"] for arm in ("hop_only", "check_again")))


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)
