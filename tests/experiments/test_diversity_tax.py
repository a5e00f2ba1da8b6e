"""The diversity tax end to end at smoke scale, and the arithmetic of its report."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.envs.frontier import Frontier, FrontierPoint
from berrypick.experiments.cell_store import load_results
from berrypick.experiments.diversity_tax import EXPERIMENT
from berrypick.experiments.diversity_tax_arms import ARMS
from berrypick.experiments.diversity_tax_cells import TableCell
from berrypick.experiments.diversity_tax_claims import CLAIMS, CONTRASTS
from berrypick.experiments.diversity_tax_language import language_cells
from berrypick.experiments.diversity_tax_series import (
    Series,
    avoidable_tax,
    equal_entropy_difference,
    matched_difference,
)
from berrypick.experiments.runner import run_experiment


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("tax") / "run"
    report = run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)
    return out, report


def test_the_smoke_run_has_every_arm_with_its_control_and_a_verdict_for_every_claim(smoke):
    out, report = smoke
    assert json.loads((out / "report.json").read_text()) == report
    assert set(report["conditions"]) == {"free/diverse", "priced/diverse", "priced-answers/diverse"}
    for condition, content in report["conditions"].items():
        several = condition.startswith("priced-answers")
        assert set(content["arms"]) == {name for name, arm in ARMS.items() if several or not arm.sets}
        for arm, strengths in content["arms"].items():
            (one,) = strengths.values()
            assert one["seeds"] == [0, 1]
            assert ("difference" in one) == bool(ARMS[arm].control)
    assert [row["claim"]["id"] for row in report["verdicts"]] == [claim.id for claim in CLAIMS]


def test_two_seeds_decide_nothing_and_what_was_not_run_is_said(smoke):
    _, report = smoke
    verdicts = {row["claim"]["id"]: row for row in report["verdicts"]}
    assert verdicts["priced-pass1"]["reason"] == "2 seeds of the 20 that were asked for"
    assert verdicts["lm-priced-pass1"]["reason"] == "not run"
    assert verdicts["vpo-choice8"]["reason"] == "2 seeds of the 20 that were asked for"
    assert "language-model grid was not run" in report["text"]


def test_pictures_are_written_and_no_number_of_the_report_is_nan(smoke):
    out, report = smoke
    assert {path.name for path in (out / "figures").iterdir()} == {
        f"tax_{name}.{suffix}" for name in ("pass", "breadth") for suffix in ("svg", "png")
    }
    json.dumps(report, allow_nan=False)
    assert "nan" not in report["text"]


def test_a_crashed_seed_is_named_and_the_others_count(smoke, monkeypatch):
    out, _ = smoke
    cells = EXPERIMENT.cells("smoke", 2)
    results = load_results(EXPERIMENT, out, cells)
    key = next(cell.key for cell in cells if "priced" in cell.key and "/darling-" in cell.key and "01" in cell.key)
    results.done.pop(key)
    results.failed[key] = "MemoryError: no memory"
    report = EXPERIMENT.report(results, "smoke", 2)
    darling = report["conditions"]["priced/diverse"]["arms"]["darling"]["0.1"]
    assert darling["seeds"] == [0]
    assert darling["missing"] == {"1": "MemoryError: no memory"}
    verdict = next(row for row in report["verdicts"] if row["claim"]["id"] == "priced-pass1")
    assert verdict["missing"] == {"1": "MemoryError: no memory"}
    assert f"failed: {key}: MemoryError: no memory" in report["text"]


def test_a_control_that_learns_nothing_stays_at_the_start(smoke):
    _, report = smoke
    for content in report["conditions"].values():
        (one,) = content["arms"]["no_learning"].values()
        assert one["measures"] == one["start"]


def test_a_cell_is_reproduced_exactly_from_its_command(smoke, tmp_path, capsys):
    out, _ = smoke
    key = "tabular/priced-diverse/darling-0.1/seed-01"
    command = ["run", "diversity_tax", "--scale", "smoke", "--seeds", "2", "--out", str(tmp_path), "--cell", key]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((out / "cells" / f"{key}.json").read_text())["result"]


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["diversty_tax"], "did you mean diversity_tax?"),
        (
            ["diversity_tax", "--cell", "tabular/priced-diverse/darlin-0.1/seed-00"],
            "tabular/priced-diverse/darling-0.1",
        ),
    ],
)
def test_an_unknown_experiment_and_an_unknown_cell_name_the_nearest(arguments, near, tmp_path, capsys):
    assert main(["run", *arguments, "--out", str(tmp_path / "a")]) == 2
    assert near in capsys.readouterr().err


def test_the_full_scale_adds_96_language_model_cells_of_8_seeds():
    assert len(language_cells(8)) == 96
    full, small = EXPERIMENT.cells("full", 8), EXPERIMENT.cells("small", 8)
    assert len(full) - len(small) == 96
    assert len({cell.key for cell in full}) == len(full)


def test_configurations_survive_json():
    for cell in EXPERIMENT.cells("small", 1):
        again = TableCell.from_config(json.loads(json.dumps(cell.config)))
        assert again.as_config() == json.loads(json.dumps(cell.config)) | {
            "sizes": again.sizes,
            "table": {**cell.config["table"]},
        }


def test_every_contrast_names_an_arm_and_every_arm_with_strengths_has_three():
    for contrast in CONTRASTS:
        assert contrast.undecidable or contrast.arm in ARMS
        assert contrast.against in ("control", "start", "zero", "matched", "diverse start", *ARMS)
    for name, arm in ARMS.items():
        assert len(arm.strengths) in (1, 3), name
        assert not arm.control or arm.control in ARMS


def series(**checkpoints):
    """One seed whose checkpoints are (breadth, pass@1, kind_entropy)."""
    steps = {
        str(step): dict(zip(("breadth", "pass@1", "kind_entropy"), values))
        for step, values in enumerate(checkpoints["at"])
    }
    extra = {name: checkpoints.get(name, {}) for name in ("temperatures", "mixes")}
    return Series({0: {"checkpoints": steps, **extra}}, {})


def test_the_matched_difference_is_read_where_the_control_had_the_breadth():
    control = series(at=[(0.9, 0.50, 1.1), (0.7, 0.60, 0.5)])
    arm = series(at=[(0.9, 0.50, 1.1), (0.8, 0.53, 0.8)])
    # half way the control had .55
    assert matched_difference(arm, control) == {0: pytest.approx(-0.02)}
    wide = series(at=[(0.95, 0.4, 1.1)])
    assert math.isnan(matched_difference(wide, control)[0])


def test_the_temperature_envelope_holds_the_end_at_temperature_1_and_mixes_hold_both_ends():
    hot = {"2": {"breadth": 0.9, "pass@1": 0.5}, "0": {"breadth": 0.5, "pass@1": 0.62}}
    control = series(
        at=[(0.9, 0.50, 1.1), (0.7, 0.60, 0.5)], temperatures=hot, mixes={"0.5": {"breadth": 0.85, "pass@1": 0.58}}
    )
    arm = series(at=[(0.8, 0.53, 0.8)])
    assert control.curve(0, "pass@1", "temperatures") == [0.62, 0.60, 0.5]
    assert matched_difference(arm, control, along="temperatures") == {0: pytest.approx(0.53 - 0.55)}
    assert control.curve(0, "breadth", "mixes") == [0.9, 0.85, 0.7]
    assert matched_difference(arm, control, along="mixes") == {0: pytest.approx(0.53 - (0.58 + 0.02 / 3))}


def test_equal_entropy_is_read_between_the_weights_of_the_bonus():
    ladder = [series(at=[(0.6, 0.60, 0.2)]), series(at=[(0.7, 0.56, 0.6)]), series(at=[(0.9, 0.50, 1.0)])]
    arm = series(at=[(0.9, 0.55, 0.8)])
    assert equal_entropy_difference(arm, ladder, "pass@1") == {0: pytest.approx(0.55 - 0.53)}


def test_the_avoidable_tax_is_the_horizontal_distance_to_the_frontier():
    front = Frontier(8, tuple(FrontierPoint(x, y, 0.0, {}) for x, y in ((0.5, 0.8), (0.6, 0.7), (0.62, 0.62))))
    assert avoidable_tax(front, 0.5, 0.75) == pytest.approx(0.05)
    assert avoidable_tax(front, 0.55, 0.75) == pytest.approx(0.0)
    assert avoidable_tax(front, 0.5, 0.3) == pytest.approx(0.12)
    assert math.isnan(avoidable_tax(front, 0.5, 0.9))
    assert np.isfinite(avoidable_tax(front, 0.5, 0.8))


def test_language_model_cells_enter_tables_and_verdicts_and_a_disagreement_is_said_first(smoke):
    from berrypick.experiments.diversity_tax_report import diversity_report
    from berrypick.experiments.diversity_tax_text import headline
    from berrypick.experiments.experiment import Results

    cells = language_cells(8)
    results = Results()
    for cell in cells:
        tax = 0.05 if cell.config["arm"] == "darling" else 0.0
        noise = 0.001 * cell.config["seed"] * (1 + tax)
        last = {"pass@1_plan": 0.55 - tax + noise, "pass@8_plan": 0.7, "pass@1": 0.5, "breadth": 0.8 + tax}
        start = {**last, "pass@1_plan": 0.5, "breadth": 0.9}
        greedy = {"0": {"pass@1_plan": 0.6}}
        results.done[cell.key] = {"checkpoints": {"0": start, "200": last}, "temperatures": greedy}
    lost = next(cell.key for cell in cells if "free/darling/seed-03" in cell.key)
    results.done.pop(lost)
    results.failed[lost] = "RuntimeError: diverged"
    report = diversity_report(results, cells, "full")
    verdicts = {row["claim"]["id"]: row for row in report["verdicts"]}
    assert verdicts["lm-priced-pass1"]["verdict"] == "supported"
    assert verdicts["lm-priced-pass1"]["estimate"]["value"] == pytest.approx(-0.05, abs=1e-3)
    assert verdicts["lm-free-pass1"]["verdict"] == "inconclusive"
    assert verdicts["lm-free-pass1"]["missing"] == {"3": "RuntimeError: diverged"}
    assert report["language_model"]["free/diverse"]["darling"]["seeds"] == [0, 1, 2, 4, 5, 6, 7]
    assert "free/diverse, language model" in report["text"]
    darling = report["language_model"]["priced/diverse"]["darling"]
    assert darling["control"] == "dr_grpo"
    assert darling["difference"]["pass@1_plan"]["value"] == pytest.approx(-0.05, abs=1e-3)
    assert darling["greedy"]["value"] == pytest.approx(0.6)
    # the control had .85 of breadth half way from .5 at .9 to .55 at .8
    assert darling["matched"]["value"] == pytest.approx(0.5 - 0.525, abs=0.005)
    assert darling["frontier_distance"]["value"] > 0

    _, with_tables = smoke
    mixed = {**with_tables, "cells": report["cells"], "verdicts": list(report["verdicts"])}
    at = next(i for i, row in enumerate(mixed["verdicts"]) if row["claim"]["id"] == "priced-pass1")
    estimate = {"value": 0.0, "low": -0.001, "high": 0.001, "n": 24}
    mixed["verdicts"][at] = {**mixed["verdicts"][at], "verdict": "contradicted", "estimate": estimate}
    assert headline(mixed).startswith("95 of 96 language-model cells were run. Table and language model disagree")
    assert "With 2 seeds nothing of this is a finding." in headline(with_tables)
    assert "the language model pays" not in headline(with_tables)
    # not one interval of the language model lies inside the margin in both conditions: -.05 is a real tax
    language = headline({**mixed, "language_model": report["language_model"]})
    assert "the language model pays in planned pass@1 and gets in planned pass@8: With 7 seeds" in language
    assert "The tax is real in free/diverse (-0.050" in language
