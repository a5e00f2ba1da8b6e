"""Preference tuning: its claims and arms, a smoke run and its page, and a row computed again."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.grid.table_training import sft_start, training_world
from berrypick.experiments.grid.validity_measures import ANSWERS, VALIDITY_MEASURES, measure_validity
from berrypick.experiments.preference_tuning import CONTRASTS, EVEN, EXPERIMENT, OPEN, OPEN_EVEN, SKEWED
from berrypick.experiments.registry import open_experiment
from berrypick.policies.tabular.row_table import RowTable
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
    published_rows,
)

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results" / "preference_tuning"
ARMS = ["dpo", "dpo_offline", "dpo_online", "grpo", "dr_grpo", "rejection_sampling", "more_sft"]


# Claims and cells


def test_claims_are_t12_for_both_methods_in_both_domains_and_read_measures_that_exist():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids) == 37
    for one in CONTRASTS:
        assert one.policy == "tabular" and one.arm in EXPERIMENT.arms_of[one.condition]
        assert one.measure in EXPERIMENT.measures
        assert one.measure.endswith(ANSWERS) == (one.condition.has_answers and one.measure != "lexical")
    t12 = [one for one in CONTRASTS if one.claim.source.endswith("(T12)")]
    assert {(one.condition.name, one.arm) for one in t12} == set(product((EVEN, SKEWED, OPEN), ("dpo", "grpo")))
    assert all(one.against == "start" and one.needs == {"valid_gain": 0.2} for one in t12)


def test_all_arms_play_as_many_episodes_in_worlds_of_their_own():
    cells = [cell for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("tabular/")]
    tables = [TableCell.from_config(cell.config).table for cell in cells]
    assert {(table.questions_per_step, table.group_size, table.steps) for table in tables} == {(16, 8, 200)}
    worlds = {cell.config["world"] for cell in cells}
    assert worlds == set(range(1500, 1524))
    for name in ("darling", "outcome_exploration"):
        others = open_experiment(name).cells("full", 24)
        assert not worlds & {cell.config["world"] for cell in others if cell.key.startswith("tabular/")}


def test_ten_rounds_one_round_and_a_new_reference_at_every_step_differ_in_nothing_else():
    arms = [EXPERIMENT.arms[name] for name in ("dpo", "dpo_offline", "dpo_online")]
    assert [arm.renew for arm in arms] == [20, 200, 1]
    assert {(*arm.middle, arm.epochs, arm.rate) for arm in arms} == {(0.1, 1, 1 / 3)}
    assert EXPERIMENT.arms["dpo"].strengths == (0.01, 0.1, 1.0)


def test_claims_were_committed_before_any_result():
    check_claims_came_first("preference_tuning")


# Measures in the population


def measures_at(condition, logits=None):
    place = Condition.of(condition)
    config = place.world_config(1000, 16)
    world = training_world(config)
    start = sft_start(config, place.start, 0, EXPERIMENT.table)
    run = measure_validity(RowTable.population(config), world, start)
    return run, start, run.values(start if logits is None else logits(start))


def test_validity_alone_leaves_the_spread_and_is_the_start_at_the_start():
    run, _, found = measures_at(OPEN)
    assert set(found) == set(VALIDITY_MEASURES)
    for suffix in ("", ANSWERS):
        assert found[f"effective_if_valid{suffix}"] == pytest.approx(found[f"effective{suffix}"])
        assert found[f"effective{suffix}"] == found[f"effective@8{suffix}"]
    assert found["valid_gain"] == pytest.approx(0)
    assert set(run.bounds()) == set(found) - {"valid_gain", "effective_if_valid", f"effective_if_valid{ANSWERS}"}
    best = np.array([0.0, -20.0, -40.0])
    _, _, sure = measures_at(SKEWED, lambda start: start * 0 + best)
    _, _, before = measures_at(SKEWED)
    assert sure["valid"] == pytest.approx(0.768, abs=1e-6)  # the best order of steep
    assert sure["valid_gain"] == pytest.approx(sure["valid"] - before["valid"])
    assert sure["spread"] == pytest.approx(0, abs=1e-6)
    assert sure["effective"] == pytest.approx(sure["valid"] / 8, abs=1e-6)
    # more often valid, and as varied when valid: more than either
    assert sure["effective_if_valid"] > max(sure["effective"], before["effective"])
    assert not [name for name in sure if name.endswith(ANSWERS)]


def test_an_even_start_has_nearly_all_variety_that_is_possible():
    run, _, found = measures_at(EVEN)
    low, high = run.bounds()["effective"]
    assert low == 0 and 0 < high - found["effective"] < 0.15 * found["effective"]


# A run, its page, and its rows


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("preference_tuning")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=26, verdicts=("inconclusive", "not decidable here"))
    _, report = smoke
    assert list(report["conditions"]) == [EVEN, OPEN]
    assert list(report["conditions"][EVEN]["arms"]) == ARMS


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Claims and verdicts", "Four quantities, by path", "Limits", "Reproduce")
    check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings)


def test_the_page_is_regenerated_from_the_committed_report():
    report = check_committed_page(EXPERIMENT, most_bytes=1_700_000)
    assert {OPEN_EVEN, *(where.name for where in EXPERIMENT.conditions)} == set(report["conditions"])


def published_cell():
    return published_rows("preference_tuning")[EXPERIMENT.reproduced]["result"]["checkpoints"]


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)
