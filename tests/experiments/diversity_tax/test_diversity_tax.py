"""The diversity tax end to end at smoke scale, and the arithmetic of its report."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.envs.world.frontier import Frontier, FrontierPoint
from berrypick.experiments.diversity_tax.claims import CONTRASTS
from berrypick.experiments.diversity_tax.experiment import EXPERIMENT, DiversityTax
from berrypick.experiments.diversity_tax.headline import headline
from berrypick.experiments.diversity_tax.taxes import kind_of_tax
from berrypick.experiments.grid.arms import ARMS
from berrypick.experiments.grid.cell_store import load_results
from berrypick.experiments.grid.comparison import avoidable_tax
from berrypick.experiments.grid.experiment import Results
from berrypick.experiments.grid.language_cells import LanguageGrid
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.series import (
    Series,
    equal_entropy_difference,
    matched_difference,
)
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.report.format import signed

SIX_ARMS = ("grpo", "dr_grpo", "darling", "batch", "entropy", "pass_at_k")
language_cells = LanguageGrid(presets=("free", "priced"), arms={name: ARMS[name].objective for name in SIX_ARMS}).cells
RESULTS = Path(__file__).resolve().parents[3] / "results" / "diversity_tax"


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
        assert set(content["arms"]) == {name for name, arm in EXPERIMENT.arms.items() if several or not arm.sets}
        for arm, strengths in content["arms"].items():
            (one,) = strengths.values()
            assert one["seeds"] == [0, 1]
            assert ("difference" in one) == bool(ARMS[arm].control)
    assert [row["claim"]["id"] for row in report["verdicts"]] == [
        claim.id for claim in (one.claim for one in CONTRASTS)
    ]


def test_the_smoke_run_yields_the_fields_of_the_published_report(smoke):
    if not (RESULTS / "report.json").is_file():
        pytest.skip("no committed results")
    report, small = json.loads((RESULTS / "report.json").read_text()), smoke[1]
    assert set(small) == set(report)
    ours, theirs = (one["conditions"]["priced/diverse"] for one in (small, report))
    assert set(ours) == set(theirs)
    assert set(ours["arms"]) == set(theirs["arms"])
    for arm, strengths in ours["arms"].items():
        (middle,) = strengths
        assert set(strengths[middle]) == set(theirs["arms"][arm][middle])
        assert set(strengths[middle]["measures"]) == set(theirs["arms"][arm][middle]["measures"])
    assert [v["claim"] for v in small["verdicts"]] == [v["claim"] for v in report["verdicts"]]


def test_two_seeds_decide_nothing_and_what_was_not_run_is_said(smoke):
    _, report = smoke
    verdicts = {row["claim"]["id"]: row for row in report["verdicts"]}
    assert verdicts["priced-pass1"]["reason"] == "2 seeds of the 20 that were asked for"
    assert verdicts["lm-priced-pass1"]["reason"] == "not run"
    assert verdicts["vpo-choice8"]["reason"] == "2 seeds of the 20 that were asked for"
    assert "language-model grid was not run" in headline(report)
    assert "inconclusive: 4 claims: not run" not in report["text"]
    assert max(map(len, report["text"].splitlines())) <= 80


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
        assert one["measures"] == content["start"]


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


def test_the_full_scale_adds_language_models_in_8_worlds():
    full, small = EXPERIMENT.cells("full", 24), EXPERIMENT.cells("small", 24)
    assert len({cell.key for cell in full}) == len(full)
    added = full[len(small) :]
    assert [cell.key for cell in added[:4]] == [
        f"language/priced/{arm}/world-0{world}" for arm in ("dr_grpo", "darling") for world in range(2)
    ]
    assert len(added) == 32
    assert {cell.config["arm"] for cell in added} == {"dr_grpo", "darling", "pass_mix", "pass_at_k"}
    worlds = {(cell.config["seed"], cell.config["world_seed"]) for cell in added}
    assert worlds == {(seed, 1000 + seed) for seed in range(8)}
    assert {cell.config["training_questions"] for cell in added} == {4096}


def test_configurations_survive_json():
    for cell in EXPERIMENT.cells("small", 1):
        again = TableCell.from_config(json.loads(json.dumps(cell.config)))
        assert again.as_config() == json.loads(json.dumps(cell.config)) | {
            "sizes": again.sizes,
            "table": {**cell.config["table"]},
        }


def test_every_contrast_names_an_arm_and_strengths_have_a_middle():
    for contrast in CONTRASTS:
        assert contrast.undecidable or contrast.arm in EXPERIMENT.arms
        assert contrast.against in ("control", "start", "zero", "matched", "diverse start", *EXPERIMENT.arms)
    for arm in EXPERIMENT.arms.values():
        assert not arm.control or arm.control in EXPERIMENT.arms
    for name, arm in ARMS.items():
        assert len(arm.strengths) % 2 == 1, name
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


def language_results(cells, **changes):
    """Every cell at a plausible end; `changes` of the last checkpoint by arm."""
    results = Results()
    for cell in cells:
        tax = 0.05 if cell.config["arm"] == "darling" else 0.0
        noise = 0.001 * cell.config["seed"] * (1 + tax)
        last = {
            "pass@1_plan": 0.55 - tax + noise,
            "pass@8_plan": 0.7,
            "pass@1": 0.5,
            "pass@8": 0.6,
            "breadth": 0.8 + tax,
            "give_up_loss": 0.0,
            "execution_loss": 0.01,
            "pass@1_population": 0.56 - tax,
        }
        start = {**last, "pass@1_plan": 0.5, "breadth": 0.9}
        last |= changes.get(cell.config["arm"], {}) if cell.config["seed"] < 2 else {}
        greedy = {"0": {"pass@1_plan": 0.6}}
        results.done[cell.key] = {"checkpoints": {"0": start, "200": last}, "temperatures": greedy}
    return results


def language_report(results, cells):
    """The report of a run that has no tabular cells."""
    return OnlyLanguage(**vars(EXPERIMENT), only=tuple(cells)).report(results, "full", 8)


@dataclass(frozen=True)
class OnlyLanguage(DiversityTax):
    only: tuple = ()

    def cells(self, scale, num_seeds):
        return self.only


def verdicts_of(report):
    return {row["claim"]["id"]: row for row in report["verdicts"]}


def test_language_model_cells_enter_tables_and_verdicts_and_a_disagreement_is_said_first(smoke):
    cells = language_cells(8)
    results = language_results(cells)
    lost = next(cell.key for cell in cells if "free/darling/world-03" in cell.key)
    results.done.pop(lost)
    results.failed[lost] = "RuntimeError: diverged"
    report = language_report(results, cells)
    verdicts = verdicts_of(report)
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
    assert darling["measures"]["pass@1_population"]["value"] == pytest.approx(0.51)
    assert darling["difference"]["pass@1_population"]["value"] == pytest.approx(-0.05)
    assert darling["measures"]["pass@8_population"] is None  # these cells lack it
    # the control had .85 of breadth half way from .5 at .9 to .55 at .8
    assert darling["matched"]["value"] == pytest.approx(0.5 - 0.525, abs=0.005)
    assert darling["frontier_distance"]["value"] > 0
    free, priced = (row for row in report["taxes"] if row["policy"] == "language model")
    assert (free["kind"], free["seeds"], priced["kind"], priced["seeds"]) == ("open", 7, "real", 8)
    # the frontier has a pass@8 of .7 at more pass@1 than was lost
    assert priced["avoidable"]["value"] == pytest.approx(0.05, abs=1e-3)
    assert priced["actual"]["tax"]["value"] == 0

    _, with_tables = smoke
    mixed = {**with_tables, "cells": report["cells"], "verdicts": list(report["verdicts"])}
    mixed["taxes"] = [*report["taxes"], *with_tables["taxes"]]
    at = next(i for i, row in enumerate(mixed["verdicts"]) if row["claim"]["id"] == "priced-pass1")
    estimate = {"value": 0.0, "low": -0.001, "high": 0.001, "n": 24}
    mixed["verdicts"][at] = {**mixed["verdicts"][at], "verdict": "contradicted", "estimate": estimate}
    assert headline(mixed).startswith("Tabular policy and language model disagree on the claim that with unequal kinds")
    assert "Nothing is decided before all seeds and cells are in; so far in free/diverse" in headline(with_tables)
    assert "in planned pass@1" not in headline(with_tables)
    assert "95 of 96 cells, 7 and 8 seeds, in planned pass@1 and pass@8: The tax is real" in headline(mixed)


def test_nothing_of_the_language_model_is_decided_before_its_grid_ends():
    cells = language_cells(8)
    results = language_results(cells)
    last = next(cell.key for cell in cells if "entropy/world-07" in cell.key)
    results.done.pop(last)
    results.not_run.append(last)
    report = language_report(results, cells)
    found = verdicts_of(report)["lm-priced-pass1"]
    assert (found["verdict"], found["reason"]) == ("inconclusive", "the grid goes on, 1 of its cells have not been run")
    assert found["p_supported"] is None
    assert {row["kind"] for row in report["taxes"]} == {"open"}


def test_a_policy_that_broke_is_named_wherever_its_plan_is_shown():
    cells = language_cells(8)
    gone = {"pass@1": 0.0, "pass@8": 0.0, "give_up_loss": 0.5, "execution_loss": 0.0}
    report = language_report(language_results(cells, darling=gone), cells)
    found = verdicts_of(report)["lm-priced-pass1"]
    assert found["verdict"] == "supported"
    assert found["reason"] == "in 2 of 8 seeds a policy broke and its plan says little; the others' mean is -0.050"
    row = next(row for row in report["taxes"] if row["condition"] == "priced/diverse")
    assert row["broken"] == [0, 1]
    assert row["actual"]["tax"]["value"] == pytest.approx(-0.5 * 2 / 8)
    assert "2 of 8 seeds broke, without them -0.050" in headline(report)
    assert report["language_model"]["priced/diverse"]["darling"]["broken"] == {"0": 0.5, "1": 0.5}
    assert report["text"].count("8, 2 broken") == 2  # among the taxes of both conditions
    assert report["text"].count("darling, 2 broken") == 2  # and among the arms


def test_language_model_cells_that_all_failed_are_not_said_to_be_missing():
    cells = language_cells(8)
    results = Results(failed={cell.key: "MemoryError: full" for cell in cells})
    report = language_report(results, cells)
    assert "96 of 96 cells failed and none is done" in report["text"]
    assert verdicts_of(report)["lm-priced-pass1"]["reason"] == "no seed has a value: MemoryError: full"


@pytest.mark.parametrize(
    ("mean", "differs", "within", "kind"),
    [
        (-0.036, True, False, "real"),
        (-0.015, True, True, "small"),  # there, although equivalent within the margin
        (0.014, True, True, "small negative"),
        (0.03, True, False, "negative"),
        (-0.001, False, True, "zero"),
        (-0.03, False, False, "undecided"),
    ],
)
def test_a_tax_is_called_what_both_of_its_tests_say(mean, differs, within, kind):
    assert kind_of_tax(mean, differs=differs, within=within) == kind


def test_a_row_of_fewer_seeds_says_so_and_one_of_less_than_half_is_none():
    row = {"value": 0.1, "low": 0.05, "high": 0.15, "n": 5}
    assert signed(row, of=5) == "+0.100 [+0.050, +0.150]"
    assert signed(row, of=9) == "+0.100 [+0.050, +0.150] (5 of 9)"
    assert signed(row, of=11) == "–"
    assert signed({**row, "low": None, "n": 1}, of=2) == "+0.100 (1 of 2)"


def test_a_control_that_has_a_breadth_twice_is_matched_where_it_is_best():
    control = series(at=[(0.8, 0.40, 1.0), (1.0, 0.45, 1.1), (0.6, 0.65, 0.4)])
    arm = series(at=[(0.8, 0.40, 1.0), (0.9, 0.50, 0.9)])
    # on its way up it had .425, on its way down .5
    assert matched_difference(arm, control) == {0: pytest.approx(0.0)}


def test_controls_are_evaluated_closely_and_end_where_the_others_do():
    cells = EXPERIMENT.cells("small", 1)
    steps = {cell.config["arm"]: cell.config["table"]["checkpoints"] for cell in cells}
    assert len(steps["dr_grpo"]) == len(steps["multi_rlvr"]) == 30
    assert steps["darling"] == (0, 10, 20, 40, 80, 200)
    assert set(steps["darling"]) < set(steps["dr_grpo"])
