"""The diversity tax end to end at smoke scale, its claims and cells, and the words of its report."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

import pytest
from berrypick.__main__ import main
from berrypick.experiments.diversity_tax.claims import CONTRASTS, OWN
from berrypick.experiments.diversity_tax.experiment import EXPERIMENT, DiversityTax
from berrypick.experiments.diversity_tax.findings import findings
from berrypick.experiments.diversity_tax.findings_lines import lines
from berrypick.experiments.diversity_tax.headline import answer, headline
from berrypick.experiments.grid.arms import ARMS
from berrypick.experiments.grid.cell_store import load_results
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.contrasts import LADDER
from berrypick.experiments.grid.experiment import Results
from berrypick.experiments.grid.one_cell import cell_screen
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.report.format import signed
from berrypick.experiments.runs.run_folder import stored_json


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("tax") / "run"
    report = run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)
    return out, report


def test_the_smoke_run_has_every_arm_of_its_conditions_and_a_verdict_for_every_claim(smoke):
    out, report = smoke
    assert stored_json(out / "report.json") == report
    assert set(report["conditions"]) == {"free/diverse", "priced/diverse", "priced-answers/diverse"}
    for condition, content in report["conditions"].items():
        assert set(content["arms"]) == set(EXPERIMENT.arms_of[Condition.of(condition)])
        for arm, strengths in content["arms"].items():
            (one,) = strengths.values()
            assert one["worlds"] == [0, 1]
            assert ("difference" in one) == bool(EXPERIMENT.arms[arm].control)
            assert (one["waste"] is None) == condition.startswith("priced-answers")
    assert [row["claim"]["id"] for row in report["verdicts"]] == [one.claim.id for one in CONTRASTS]


def test_the_difference_is_price_minus_the_difference_of_wastes_in_the_report_too(smoke):
    _, report = smoke
    for row in report["taxes"]:
        if row["price"] is not None:
            wastes = row["waste"]["value"] - row["control_waste"]["value"]
            assert row["tax"]["value"] == pytest.approx(row["price"]["value"] - wastes, abs=3e-5)  # five digits each


def test_two_worlds_decide_nothing_and_what_was_not_run_is_said(smoke):
    _, report = smoke
    verdicts = {row["claim"]["id"]: row for row in report["verdicts"]}
    assert verdicts["priced-pass1"]["reason"] == "2 worlds of the 20 that were asked for"
    assert verdicts["lm-priced-pass1"]["reason"] == "not run"
    assert verdicts["vpo-choice8"]["reason"] == "2 worlds of the 20 that were asked for"
    assert {row["verdict"] for row in verdicts.values()} == {"inconclusive"}
    assert max(map(len, report["text"].splitlines())) <= 80


def test_identities_are_shown_and_are_no_claims(smoke):
    _, report = smoke
    (row,) = report["identities"]
    assert (row["condition"], row["measure"], row["largest"]) == ("free/diverse", "pass@1", 0)
    claimed = {(one.condition.name, one.measure) for one in CONTRASTS}
    assert not claimed & {("free/diverse", "pass@1"), ("slack/diverse", "pass@1"), ("slack/diverse", "pass@8")}


def test_pictures_are_written_and_no_number_of_the_report_is_nan(smoke):
    out, report = smoke
    assert {path.name for path in (out / "figures").iterdir()} == {
        f"tax_{name}.{suffix}" for name in ("pass", "breadth", "findings") for suffix in ("svg", "png")
    }
    json.dumps(report, allow_nan=False)
    assert "nan" not in report["text"]


def test_a_crashed_world_is_named_and_the_others_count(smoke):
    out, _ = smoke
    cells = EXPERIMENT.cells("smoke", 2)
    results = load_results(EXPERIMENT, out, cells)
    key = "tabular/priced-diverse/darling-0.1/world-1001"
    results.done.pop(key)
    results.failed[key] = "MemoryError: no memory"
    report = EXPERIMENT.report(results, "smoke", 2)
    darling = report["conditions"]["priced/diverse"]["arms"]["darling"]["0.1"]
    assert darling["worlds"] == [0]
    assert darling["missing"] == {"1": "MemoryError: no memory"}
    verdict = next(row for row in report["verdicts"] if row["claim"]["id"] == "priced-pass1")
    assert verdict["missing"] == {"1": "MemoryError: no memory"}
    assert f"failed: {key}: MemoryError: no memory" in report["text"]


def test_a_control_that_learns_nothing_stays_at_the_start(smoke):
    _, report = smoke
    content = report["conditions"]["priced/diverse"]
    (one,) = content["arms"]["no_learning"].values()
    assert one["measures"] == content["start"]


def test_a_cell_is_reproduced_exactly_from_its_command(smoke, tmp_path, capsys):
    out, _ = smoke
    key = "tabular/priced-diverse/darling-0.1/world-1001"
    command = ["run", "diversity_tax", "--scale", "smoke", "--seeds", "2", "--out", str(tmp_path), "--cell", key]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((out / "cells" / f"{key}.json").read_text())["result"]
    assert main([*command, "--given", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == key
    assert lines[1].split() == ["measure", "step", "0", "step", *_last_step(found), "published", "dr_grpo"]
    control = json.loads((out / "cells" / f"{key}.json".replace("darling-0.1", "dr_grpo-0")).read_text())["result"]
    ends = [one["checkpoints"][_last_step(one)[0]]["pass@1"] for one in (found, found, control)]
    shown = next(line.split() for line in lines if line.startswith("pass@1 "))
    assert shown[2:] == [f"{value:.3f}" for value in ends]
    assert lines[-1].startswith("Equal to the published line in all of its ")
    assert main(command) == 0
    assert "--given results/NAME" in " ".join(capsys.readouterr().out.splitlines())


def _last_step(result):
    return [max(result["checkpoints"], key=int)]


def test_a_cell_that_differs_from_the_published_line_says_by_how_much():
    result = {"checkpoints": {"0": {"pass@1": 0.5}, "4": {"pass@1": 0.625, "pass@8": 0.75}}}
    thinned = {"checkpoints": {"4": {"pass@1": 0.6}}}
    assert "largest difference from the 1 values of the published line is 2.5e-02." in " ".join(
        cell_screen("a", result, {"published": thinned}).split()
    )
    missing = {"checkpoints": {"4": {"pass@1": 0.625, "breadth": 1.0}}}
    assert "published line is inf." in " ".join(cell_screen("a", result, {"published": missing}).split())


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["diversty_tax"], "did you mean diversity_tax?"),
        (
            ["diversity_tax", "--cell", "tabular/priced-diverse/darlin-0.1/world-1000"],
            "tabular/priced-diverse/darling-0.1",
        ),
    ],
)
def test_an_unknown_experiment_and_an_unknown_cell_name_the_nearest(arguments, near, tmp_path, capsys):
    assert main(["run", *arguments, "--out", str(tmp_path / "a")]) == 2
    assert near in capsys.readouterr().err


def test_each_replicate_has_a_world_of_its_own_and_the_pilot_has_others():
    cells = EXPERIMENT.cells("small", 24)
    assert len({cell.key for cell in cells}) == len(cells)
    pilot = [cell for cell in cells if cell.key.startswith("pilot/")]
    grid = [cell for cell in cells if cell.key.startswith("tabular/")]
    assert {cell.config["world"] for cell in pilot} == {1900, 1901, 1902, 1903}
    assert {cell.config["world"] for cell in grid} == set(range(1000, 1024))
    for cell in grid:
        assert cell.config["world"] == 1000 + cell.config["seed"]
        condition = Condition.of(cell.config["condition"])
        assert cell.config["questions"] == condition.questions
        assert cell.config["table"]["learning_rate"] == (condition.rate or 3.0)
    judged = {one.condition for one in CONTRASTS if one.policy == "tabular"}
    assert {Condition.of(cell.config["condition"]) for cell in pilot} == judged


def test_the_full_scale_adds_language_models_in_8_worlds():
    full, small = EXPERIMENT.cells("full", 24), EXPERIMENT.cells("small", 24)
    added = full[len(small) :]
    worlds = defaultdict(set)
    for cell in added:
        worlds[cell.config["condition"], cell.config["arm"]].add((cell.config["seed"], cell.config["world_seed"]))
    arms = {"dr_grpo", "darling", "pass_mix", "pass_at_k_undivided"}
    assert {arm for (where, arm), found in worlds.items() if where == "priced/diverse" and len(found) == 8} == arms
    assert all(found == {(seed, 1000 + seed) for seed in range(len(found))} for found in worlds.values())
    assert {where: max(map(len, found)) for where, found in _by_condition(worlds).items()} == {
        "priced/diverse": 8, "steep/diverse": 8, "free/diverse": 8, "priced/diverse/rate=3e-05": 3,
        "priced/diverse/rate=0.0003": 3,
    }  # fmt: skip
    assert {cell.config["training_questions"] for cell in added} == {4096}


def _by_condition(worlds):
    out = defaultdict(list)
    for (where, _), found in worlds.items():
        out[where].append(found)
    return out


def test_configurations_survive_json():
    for cell in EXPERIMENT.cells("small", 1):
        again = TableCell.from_config(json.loads(json.dumps(cell.config)))
        assert json.loads(json.dumps(again.as_config())) == json.loads(json.dumps(cell.config))


def test_every_contrast_names_arms_of_its_condition():
    for contrast in CONTRASTS:
        if contrast.policy != "tabular":
            assert contrast.arm in EXPERIMENT.language.arms
            continue
        there = EXPERIMENT.arms_of[contrast.condition]
        assert contrast.arm in there
        if contrast.against in ("control", "matched"):
            assert EXPERIMENT.arms[contrast.arm].control in there
        elif contrast.against.startswith(LADDER):
            assert contrast.against.removeprefix(LADDER) in there
        else:
            assert contrast.against in ("start", "zero", "diverse start", *there)
    for condition, names in EXPERIMENT.arms_of.items():
        for name in names:
            control = EXPERIMENT.arms[name].control
            assert not control or control in names, (condition, name)
    assert len(EXPERIMENT.arms["pass_mix"].strengths) == 10
    assert EXPERIMENT.arms["pass_mix"].middle == (0.5,)


def test_what_needs_a_memory_of_questions_meets_them_ten_times():
    condition = Condition.of(OWN)
    table = EXPERIMENT.table
    assert condition.own and table.steps * table.questions_per_step >= 10 * condition.questions
    for name in ("priced/diverse", "steep/diverse"):  # and where a price is measured none is met twice
        assert table.steps * table.questions_per_step <= Condition.of(name).questions


def language_cells():
    return [cell for cell in EXPERIMENT.cells("full", 8) if cell.config["policy"] == "language model"]


def language_results(cells, **changes):
    """Every cell at a plausible end; `changes` of the last checkpoint by arm, in the first two worlds."""
    results = Results()
    for cell in cells:
        tax = 0.05 if cell.config["arm"] == "darling" else 0.0
        noise = 0.001 * cell.config["seed"] * (1 + tax)
        last = {
            "pass@1_plan": 0.55 - tax,
            "pass@8_plan": 0.7,
            "pass@1": 0.5,
            "pass@8": 0.6,
            "breadth": 0.8 + tax,
            "give_up_loss": 0.0,
            "execution_loss": 0.01,
            "pass@1_population": 0.56 - tax + noise,
            "pass@8_population": 0.66 + tax,
        }
        start = {**last, "pass@1_population": 0.5, "pass@8_population": 0.768}
        last |= changes.get(cell.config["arm"], {}) if cell.config["seed"] < 2 else {}
        results.done[cell.key] = {
            "checkpoints": {"0": start, "80": last},
            "temperatures": {"0": {"pass@1_plan": 0.6}},
        }
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


def test_language_model_cells_enter_tables_and_verdicts():
    cells = language_cells()
    results = language_results(cells)
    lost = next(cell.key for cell in cells if "priced-diverse/pass_mix/world-1003" in cell.key)
    results.done.pop(lost)
    results.failed[lost] = "RuntimeError: diverged"
    report = language_report(results, cells)
    verdicts = verdicts_of(report)
    assert verdicts["lm-priced-pass1"]["verdict"] == "supported"
    assert verdicts["lm-priced-pass1"]["estimate"]["value"] == pytest.approx(-0.05, abs=1e-3)
    assert verdicts["lm-mix-waste"]["reason"] == "7 worlds of the 8 that were asked for"
    assert verdicts["lm-mix-waste"]["missing"] == {"3": "RuntimeError: diverged"}
    assert "priced/diverse, language model" in report["text"]
    darling = report["language_model"]["priced/diverse"]["darling"]
    assert darling["control"] == "dr_grpo"
    assert darling["difference"]["pass@1_population"]["value"] == pytest.approx(-0.05, abs=1e-3)
    assert darling["greedy"]["value"] == pytest.approx(0.6)
    # the control's way from (.768, .5) to (.66, about .56) has pass@8 .71 nearly half way
    assert darling["matched"]["value"] == pytest.approx(0.51 - (0.5 + 0.0635 * 0.058 / 0.108), abs=0.004)
    assert darling["waste"]["value"] > darling["control_waste"]["value"] > 0
    rows = {row["arm"]: row for row in report["taxes"] if row["policy"] == "language model"}
    wastes = rows["darling"]["waste"]["value"] - rows["darling"]["control_waste"]["value"]
    assert rows["darling"]["tax"]["value"] == pytest.approx(rows["darling"]["price"]["value"] - wastes, abs=3e-5)


def test_nothing_of_the_language_model_is_decided_before_its_grid_ends():
    cells = language_cells()
    results = language_results(cells)
    last = next(cell.key for cell in cells if "pass_at_k_undivided/world-1007" in cell.key)
    results.done.pop(last)
    results.not_run.append(last)
    report = language_report(results, cells)
    found = verdicts_of(report)["lm-priced-pass1"]
    assert (found["verdict"], found["reason"]) == ("inconclusive", "the grid goes on, 1 of its cells have not been run")
    assert found["p_supported"] is None


def test_a_policy_that_broke_is_named_wherever_its_plan_is_shown():
    cells = language_cells()
    gone = {"pass@1": 0.0, "pass@8": 0.0, "give_up_loss": 0.5, "execution_loss": 0.0}
    report = language_report(language_results(cells, darling=gone), cells)
    assert report["language_model"]["priced/diverse"]["darling"]["broken"] == {"0": 0.5, "1": 0.5}
    assert report["text"].count("darling, 2 broken") == len(report["language_model"])
    assert "in 2 of 8 worlds a policy broke" in verdicts_of(report)["lm-priced-pass1"]["reason"]


def test_language_model_cells_that_all_failed_are_not_said_to_be_missing():
    cells = language_cells()
    report = language_report(Results(failed={cell.key: "MemoryError: full" for cell in cells}), cells)
    assert verdicts_of(report)["lm-priced-pass1"]["reason"] == "no world has a value: MemoryError: full"


def test_there_is_no_answer_before_all_cells_are_there(smoke):
    _, report = smoke
    assert answer(report).startswith("**Not answered yet")
    waiting = {**report, "cells": {**report["cells"], "not_run": 5}}
    assert headline(waiting).startswith("5 cells are left to run, and nothing is decided before.")


def test_the_answer_is_the_first_sentence_with_the_numbers_of_the_report(smoke):
    _, report = smoke

    def row(condition, tax, gain, price):
        values = {"tax": tax, "gain": gain, "price": price, "waste": 0.01, "control_waste": 0.003, "matched": None}
        cells = {
            name: value if value is None else {"value": value, "low": value - 0.001, "high": value + 0.001, "n": 24}
            for name, value in {**values, "pass@1": 0.57, "pass@k": 0.75}.items()
        }
        return {
            "policy": "tabular",
            "condition": condition,
            "arm": "darling",
            "control": "dr_grpo",
            "worlds": 24,
        } | cells

    whole = {
        **report,
        "cells": {**report["cells"], "not_run": 0},
        "taxes": [
            row("priced/diverse", -0.023, 0.06, -0.017),
            row("steep/diverse", -0.031, 0.03, -0.009),
            row("free/diverse", 0.0, 0.045, 0.0),
            row("priced-cue/diverse", -0.02, 0.0, -0.0004),
        ],
    }
    text = answer(whole)
    assert text == (
        "**Diversity training (DARLING) costs .023 of pass@1 where search kinds are unequal, .031 where steeply so, 0 "
        "where equal; the task itself asks .017 and .009 of that, and with a cue 0 of .020.**"
    )
    assert len(text.split()) <= 40
    strata = {"no cue": (-0.033, 0.058, -0.025, 0.84), "cue": (-0.045, 0.002, -0.01, -4.5)}
    law = {
        "worlds": 208,
        "group_k": 8,
        "cells": {"not_run": 0},
        "verdicts": [
            {"kind": "explained", "verdict": "contradicted", "run": "darling-0.1", "value": 0.74},
            {"kind": "explained", "verdict": "supported", "run": "pass_mix-0.5", "value": 0.92},
            {"kind": "explained", "verdict": "not decidable here", "run": "batch-0.8", "value": None},
        ],
        "runs": {
            "darling-0.1": {
                name: {"value": value, "low": value, "high": value, "n": 208}
                for name, value in {"tax": -0.036, "gain": 0.043, "waste": 0.023, "control_waste": 0.009}.items()
            }
            | {
                name: {"tax": {"value": t}, "gain": {"value": g}, "price": {"value": p}, "r2": r2}
                for name, (t, g, p, r2) in strata.items()
            }
            | {"all": {"r2": 0.74, "r2_of_all": 0.23}},
        },
    }
    general = answer(whole, law)
    assert general == (
        "**Over 208 random planted worlds, a table of choices that is trained for diversity (DARLING) ends with .036 "
        "less pass@1 and .043 more pass@8 than the same training without it. Where questions do not hint at the source "
        "that helps: .033 less for .058 more, and the task itself asks .025 of that; where they do (a cue): .045 less "
        "for .002 more, and the task asks .010; the rest is waste beyond that of the training without it.**"
    )
    stopped = [
        {
            "claim": {"id": f"{place}-matched"},
            "estimate": {"value": value},
            "verdict": "supported",
            "settings": {"rate 0.3": {"value": other}, "rate 1": None},
        }
        for place, value, other in (("priced", 0.002, 0.001), ("steep", -0.0036, 0.0194))
    ]
    assert answer({**whole, "verdicts": stopped}, law) == general.replace(
        "without it.**",
        "without it. Training without it, stopped early at the same pass@8, had pass@1 within .004 in the two presets "
        "that were tried, neither with a cue (at other learning rates within .019).**",
    )
    law_row = next(line for line in findings(whole, law).splitlines() if "R2" in line)
    assert "0.84 without a cue" in law_row and "-4.50 with one" in law_row
    assert law_row.endswith("over all worlds 0.23. The largest of a method is 0.92 (pass_mix-0.5).")
    page = findings(whole, None)
    body = page.split("-->")[1].strip()
    assert body.startswith(text)
    assert "## Corrections" in page and "Price law: 0 of 208 random worlds" in page
    assert len(page.split()) <= 900


def test_a_row_of_fewer_worlds_says_so_and_one_of_less_than_half_is_none():
    row = {"value": 0.1, "low": 0.05, "high": 0.15, "n": 5}
    assert signed(row, of=5) == "+0.100 [+0.050, +0.150]"
    assert signed(row, of=9) == "+0.100 [+0.050, +0.150] (5 of 9)"
    assert signed(row, of=11) == "–"
    assert signed({**row, "low": None, "n": 1}, of=2) == "+0.100 (1 of 2)"


def test_controls_are_evaluated_closely_and_end_where_the_others_do():
    cells = [cell for cell in EXPERIMENT.cells("small", 1) if cell.key.startswith("tabular/")]
    steps = {cell.config["arm"]: cell.config["table"]["checkpoints"] for cell in cells}
    assert len(steps["dr_grpo"]) == len(steps["multi_rlvr"]) == 30
    assert steps["darling"] == (0, 10, 20, 40, 80, 200)
    assert set(steps["darling"]) < set(steps["dr_grpo"])
    assert {cell.config["arm"] for cell in cells if cell.config["curves"]} == {
        arm.control for arm in EXPERIMENT.arms.values() if arm.control
    }
    assert all(ARMS[name].control in ("", *ARMS) for name in ARMS)


def test_the_language_model_is_held_against_what_its_control_has_for_free():
    ways = ("matched", "matched_by_temperature", "matched_by_mixing")

    def row(value, worlds=8, n=8):
        return {"worlds": list(range(worlds)), **{way: {"value": value, "n": n} for way in ways}}

    def said(**rows):
        cells = {"not_run": 1, "language_model_not_run": 0, "language_model_cells": 9}
        report = {"cells": cells, "taxes": [], "language_model": {"priced/diverse": rows}}
        return [line for line in lines(report, None) if line.startswith("Language model")]

    (line,) = said(darling=row(-0.006), pass_mix=row(0.007), batch=row(0.5))
    assert line.endswith(": darling -0.006, -0.006, -0.006; pass_mix +0.007, +0.007, +0.007.")
    assert (
        said(darling=row(-0.006, worlds=7, n=7), pass_mix=row(0.007, n=7)) == []
    )  # not all worlds, or not all matched
