"""Artificial Hivemind: its claims and arms, a smoke run and its page, a row computed again, one number twice."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.panel_cells import PANEL_MEASURES
from berrypick.experiments.grid.panel_system import PANEL
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.similarity_measures import SIMILARITY_MEASURES, measure_similarity
from berrypick.experiments.grid.table_training import training_world
from berrypick.experiments.hivemind import CONTRASTS, EXPERIMENT
from berrypick.experiments.hivemind.claims import CUE, PANELS, PLACES, SETS
from berrypick.experiments.hivemind.experiment import METHODS
from berrypick.policies.tabular.row_table import RowTable
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
    published_rows,
)


def test_claims_read_measures_that_exist_and_one_cannot_be_decided():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids) == 34
    for one in CONTRASTS:
        assert one.policy == "tabular" and one.arm in EXPERIMENT.arms_of[one.condition]
        assert one.measure in (PANEL_MEASURES if one.arm == PANEL else SIMILARITY_MEASURES)
    (undecidable,) = (one for one in CONTRASTS if one.undecidable)
    assert undecidable.claim.id == "share-above" and "79 %" in undecidable.claim.published


def test_a_panel_has_methods_of_its_own_kind_and_worlds_that_no_other_cell_has():
    assert set(EXPERIMENT.panel) == set(METHODS)
    assert {name for name, arms in EXPERIMENT.arms_of.items() if PANEL in arms} == {
        Condition.of(name) for name in PANELS.values()
    }
    cells = EXPERIMENT.cells("full", 24)
    worlds = {key: {c.config["world"] for c in cells if c.key.startswith(key)} for key in ("tabular", "pilot")}
    assert worlds == {"tabular": set(range(2101, 2125)), "pilot": set(range(2190, 2194))}
    assert all(Condition.of(name).shares for name in PANELS.values())


def test_claims_were_committed_before_any_result():
    check_claims_came_first("hivemind", "experiments/hivemind/claims.py")


def test_measures_of_an_even_policy_and_of_one_that_always_does_the_same():
    config = Condition.of(PLACES["priced"]).world_config(1000, 16)
    world = training_world(config)
    run = measure_similarity(RowTable.population(config), world, np.zeros(world.table_shape))
    even, sure = run.values(np.zeros(world.table_shape)), run.values(np.zeros(world.table_shape) + [0.0, -40.0, -80.0])
    assert set(even) == set(sure) == set(SIMILARITY_MEASURES)
    for name, (low, high) in run.bounds().items():
        assert even[name] == pytest.approx(low) and sure[name] == pytest.approx(high) == pytest.approx(1)
    # temperature leaves an even policy as it is, and so do both ways to truncate
    for name in ("t0.5", "t2", "top_p", "min_p", "with_start"):
        assert even[f"records_{name}"] == pytest.approx(even["records"])
    assert (even["hot_gain"], even["sampling_gap"]) == pytest.approx((0, 0), abs=1e-12)
    assert even["records_sampled"] == pytest.approx(even["records"], abs=0.05)
    assert sure["records_sampled"] == pytest.approx(1)
    # a habit is the same whatever is asked: it is in the floor, not above it
    assert sure["words_floor"] > even["words_floor"]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("hivemind")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=12, verdicts=("inconclusive", "not decidable here"))
    _, report = smoke
    assert list(report["conditions"]) == [PLACES["free"], PANELS["priced"]]
    assert list(report["conditions"][PANELS["priced"]]["arms"]) == [PANEL]


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Claims and verdicts", "Pairs of policies, by records", "Within a policy", "Limits", "Reproduce")
    check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings)


def test_the_page_is_regenerated_from_the_committed_report():
    report = check_committed_page(EXPERIMENT, most_bytes=2_500_000)
    assert {CUE, SETS, *PLACES.values()} < set(report["conditions"])


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)


def test_panels_in_the_committed_rows_are_consistent():
    rows = published_rows("hivemind")
    panels = [row["result"]["checkpoints"]["200"] for key, row in rows.items() if "/panel-" in key]
    assert len(panels) == 72
    for one in panels:
        assert sum(one[f"variance_{name}"] for name in ("demonstrator", "world", "method", "mixed")) == pytest.approx(
            1, abs=1e-5
        )
        assert one["lost"] == pytest.approx(1 - one["apart"] / one["same_start"], abs=1e-5)
