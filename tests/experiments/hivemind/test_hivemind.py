"""Artificial Hivemind: its claims and arms, a smoke run and its page, a row computed again, one number twice."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.panel_cells import PANEL_MEASURES
from berrypick.experiments.grid.panel_system import PANEL
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.similarity_measures import SIMILARITY_MEASURES, measure_similarity
from berrypick.experiments.grid.table_training import training_world
from berrypick.experiments.hivemind import CONTRASTS, EXPERIMENT
from berrypick.experiments.hivemind.cautions import CORRECTIONS, LIMITS
from berrypick.experiments.hivemind.claims import CUE, PANELS, PLACES, SETS
from berrypick.experiments.hivemind.experiment import METHODS
from berrypick.policies.tabular.kinds import kind_probabilities
from berrypick.policies.tabular.outcomes import list_episodes
from berrypick.policies.tabular.row_table import RowTable
from berrypick.policies.tabular.similarity import ENCODERS, encode
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
        if name in ENCODERS:
            assert even[name] == pytest.approx(low) and sure[name] == pytest.approx(high) == pytest.approx(1)
        assert low - 1e-9 <= min(even[name], sure[name]) and max(even[name], sure[name]) <= high + 1e-9
    # nothing can become more alike by heat than a start that draws at random becomes by being sure
    assert run.bounds()["hot_gain"] == pytest.approx((0.0, 1 - even["records"]))
    # temperature leaves an even policy as it is, and so do both ways to truncate
    for name in ("t0.5", "t2", "top_p", "min_p", "with_start"):
        assert even[f"records_{name}"] == pytest.approx(even["records"])
    assert (even["hot_gain"], even["sampling_gap"]) == pytest.approx((0, 0), abs=1e-12)
    assert even["records_sampled"] == pytest.approx(even["records"], abs=0.05)
    assert sure["records_sampled"] == pytest.approx(1)
    # a habit is the same whatever is asked: it is in the floor, not above it
    assert sure["words_floor"] > even["words_floor"]


def test_measures_of_a_trained_policy_beside_its_start():
    config = Condition.of(PLACES["priced"]).world_config(1000, 16)
    world, rows = training_world(config), RowTable.population(config)
    generator = np.random.default_rng(0)
    start, logits = (generator.normal(0, 2, world.table_shape) for _ in range(2))
    found = measure_similarity(rows, world, start).values(logits)
    episodes = list_episodes(replace(world, present=rows.present, table=rows.table))

    def means(probabilities, encoder="records"):
        """Expected vectors of an episode, by a loop over episodes; and their squares, by question."""
        chances, encoded = episodes.outcomes(probabilities).chances, encode(world, rows.weights, episodes)[encoder]
        vectors = np.stack([sum(p * v for p, v in zip(*one)) for one in zip(chances, encoded.vectors)])
        return vectors, (vectors**2).sum(1)

    for temperature in (0.5, 0.7, 1.4, 2.0):
        expected = rows.weights @ means(kind_probabilities(logits / temperature))[1]
        assert found[f"records_t{temperature:g}"] == pytest.approx(expected)
    vectors, squares = means(kind_probabilities(logits))
    begun, begun_squares = means(kind_probabilities(start))
    assert found["records"] == pytest.approx(rows.weights @ squares)
    assert found["records_high"] == pytest.approx(rows.weights[squares > 0.8].sum())
    assert found["records_with_start"] == pytest.approx(rows.weights @ (vectors * begun).sum(1))
    assert found["hot_gain"] == pytest.approx(found["records_t1.4"] - rows.weights @ begun_squares)
    hot = kind_probabilities(logits / 2)
    kept = np.where(hot >= 0.1 * hot.max(-1, keepdims=True), hot, 0)
    total = kept.sum(-1, keepdims=True)
    cut = np.divide(kept, total, out=np.zeros_like(kept), where=total > 0)
    assert found["records_min_p"] == pytest.approx(rows.weights @ means(cut)[1])
    assert found["sampling_gap"] == pytest.approx(found["records_top_p"] - found["records_min_p"])
    assert found["records_top_p"] > found["records"] > found["records_min_p"]
    for name, one in (("words_high", kind_probabilities(logits)), ("words_high_min_p", cut)):
        assert found[name] == pytest.approx(rows.weights[means(one, "words")[1] > 0.8].sum())
    assert found["high_gap"] == pytest.approx(found["words_high"] - found["records_high"])


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


def test_figures_in_limits_and_corrections_are_those_of_the_committed_rows():
    rows = published_rows("hivemind")

    def mean(place, arm, value, step="200"):
        found = [
            row["result"]["checkpoints"][step] for key, row in rows.items() if key.startswith(f"tabular/{place}/{arm}")
        ]
        assert len(found) == 24
        return float(np.mean([value(one) for one in found]))

    panels = [PANELS[name].replace("/", "-") for name in PANELS]
    singles = [PLACES[name].replace("/", "-") for name in PLACES]
    gone, apart = (lambda one: one["same_start"] - one["apart"]), (lambda one: one["apart"])
    expected = {
        "above that level": [
            mean(at, "panel", gone) / mean(at, "panel", lambda one: one["same_start"] - one["even"]) for at in panels
        ],
        "between policies of one method": [
            mean(at, "panel", lambda one: 1 - one["method_apart"] / one["self"]) for at in panels
        ],
        "the demonstrators' habits are opposed": [
            *(mean(at, "panel", apart) - mean(at, "panel", apart, "0") for at in panels),
            mean(panels[0], "panel", lambda one: one["even"] - one["apart"], "0"),
            mean(panels[2], "panel", lambda one: one["even"] - one["apart"]),
        ],
        "grpo on a coin": [
            mean(singles[0], "random", lambda one: one["records"])
            - mean(singles[0], "random", lambda one: one["records"], "0"),
            *(
                mean(at, "grpo", lambda one: one["records"]) - mean(at, "grpo", lambda one: one["records"], "0")
                for at in singles
            ),
        ],
        "the claims on what is gone could": [
            mean(panels[0], "panel", lambda one: one["variance_demonstrator"], "0"),
            mean(panels[0], "panel", lambda one: one["lost"], "0"),
        ],
    }
    for begin, values in expected.items():
        (text,) = (one for one in (*LIMITS, *CORRECTIONS) if begin in one.lower())
        text = text[text.lower().index(begin) :]
        printed = re.findall(r"\b\d\.\d+", text)
        assert [float(one) for one in printed] == [
            pytest.approx(value, abs=0.51 * 10 ** -len(one.partition(".")[2]))
            for one, value in zip(printed, values, strict=True)
        ], begin
