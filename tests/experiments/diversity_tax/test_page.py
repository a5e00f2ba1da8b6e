"""docs/findings.md is what the committed report says, and says nothing else."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.experiments.diversity_tax.experiment import EXPERIMENT
from berrypick.experiments.grid.publishing import publish
from berrypick.experiments.grid.runner import reproduce_cell, run_experiment

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results" / "diversity_tax"


@pytest.fixture(scope="module")
def report():
    if not (RESULTS / "report.json").is_file():
        pytest.skip("no committed results")
    return json.loads((RESULTS / "report.json").read_text())


def test_the_page_is_regenerated_from_the_report(report):
    for name, text in EXPERIMENT.pages(report).items():
        assert (ROOT / "docs" / name).read_text() == text


def test_every_number_of_the_page_changes_with_the_report(report):
    emptied = json.loads(json.dumps(report))
    for content in emptied["conditions"].values():
        for strengths in content["arms"].values():
            for one in strengths.values():
                one["measures"] = dict.fromkeys(one["measures"])
                one["temperatures"] = {}
                for name in set(one) - {"measures", "seeds", "missing", "start", "trajectory", "temperatures", "mixes"}:
                    one[name] = None if name not in ("difference", "equal_entropy", "control") else one[name]
                if "control" in one:
                    one.update(difference={}, equal_entropy={})
    for arms in emptied["language_model"].values():
        for row in arms.values():
            row.update(measures=dict.fromkeys(row["measures"]), difference={}, matched=None)
            row.update(dict.fromkeys(("frontier_distance", "avoidable_tax", "greedy")))
    for row in emptied["taxes"]:
        for name in ("tax", "gain", "avoidable", "matched", "tax_of_whole"):
            row[name] = None
        for name in {"resampled", "actual"} & set(row):
            row[name] = {"tax": None, "gain": None}
    for verdict in emptied["verdicts"]:
        verdict.update(estimate=None, inside=None, p_supported=None, p_contradicted=None, reason="")
    decimals = re.findall(r"[+-]?\d\.\d{3}\b", "".join(EXPERIMENT.pages(emptied).values()))
    assert not decimals


@pytest.mark.parametrize(
    "row", ["priced/diverse,darling,0.1,7,", "steep/narrow,grpo,0,3,", "free/diverse,batch,0.2,11,"]
)
def test_a_published_row_is_reproduced_from_its_cell(row, tmp_path):
    file = RESULTS / "per_seed.csv"
    if not file.is_file():
        pytest.skip("no committed results")
    header, *lines = file.read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(row)]
    published = dict(zip(header.split(",")[4:], map(float, line.split(",")[4:])))
    condition, arm, strength, seed = line.split(",")[:4]
    key = f"tabular/{condition.replace('/', '-')}/{arm}-{strength}/seed-{int(seed):02d}"
    result = reproduce_cell(EXPERIMENT, key, tmp_path, scale="small", num_seeds=24)
    found = result["checkpoints"]["200"]
    # five digits are kept; another processor may round the last bit of a logarithm otherwise
    assert {name: found[name] for name in published} == pytest.approx(published, abs=2e-5)


def _taken_over(tmp_path, given, **changes):
    settings = {"scale": "full", "num_seeds": 24, "only": "language/*/world-00", "given": given, **changes}
    return run_experiment(EXPERIMENT, tmp_path / "run", **settings)


def _published_keys():
    lines = gzip.decompress((RESULTS / "language_cells.jsonl.gz").read_bytes()).splitlines()
    return {json.loads(line)["key"] for line in lines}


@pytest.mark.slow
def test_a_run_of_language_models_takes_the_table_of_kinds_from_published_results(report, tmp_path):
    if report["cells"]["language_model_done"] == 0:
        pytest.skip("no language-model cells are published")
    wanted = {cell.key for cell in EXPERIMENT.cells("full", 24) if cell.config["policy"] != "tabular"}
    if wanted.isdisjoint(_published_keys()):
        pytest.skip("the published language-model cells are of an earlier grid")
    again = _taken_over(tmp_path, RESULTS)
    table = report["cells"]["done"] - report["cells"]["language_model_done"]
    assert again["cells"] == {**report["cells"], "taken_over": table}
    for name in ("taxes", "conditions", "language_model", "seeds", "scale", "test_questions"):
        assert again[name] == report[name], name
    rounded = ("p_supported", "p_contradicted")  # differences are kept with five digits
    for ours, theirs in zip(again["verdicts"], report["verdicts"], strict=True):
        assert {**ours, **dict.fromkeys(rounded)} == {**theirs, **dict.fromkeys(rounded)}
        for name in rounded:
            assert ours[name] == pytest.approx(theirs[name], abs=1e-3)
    for name in ("per_seed.csv", "per_seed_answers.csv", "per_seed_language.csv", "language_cells.jsonl.gz"):
        assert (tmp_path / "run" / name).read_bytes() == (RESULTS / name).read_bytes(), name
    page = EXPERIMENT.pages(again)["findings.md"]
    assert f"({table} tabular cells are those of the report before, which has the same settings)" in page


def test_a_table_of_other_settings_or_claims_is_not_taken_over(report, tmp_path):
    if report["cells"]["language_model_done"] == 0:
        pytest.skip("no language-model cells are published")
    given = tmp_path / "given"
    shutil.copytree(RESULTS, given)
    with pytest.raises(BerrypickError, match=r"tabular cells with other settings than this run"):
        _taken_over(tmp_path, given, num_seeds=23)
    claim = {**report["verdicts"][0]["claim"], "smallest_effect": 0.5}
    other = [{**report["verdicts"][0], "claim": claim}, *report["verdicts"][1:]]
    (given / "report.json").write_text(json.dumps({**report, "verdicts": other}))
    with pytest.raises(BerrypickError, match=r"judges other claims"):
        _taken_over(tmp_path, given)
    (given / "report.json").write_text("{}")
    with pytest.raises(BerrypickError, match=r"is no report of diversity_tax"):
        _taken_over(tmp_path, given)
    (given / "language_cells.jsonl.gz").unlink()
    with pytest.raises(BerrypickError, match=r"is no report of diversity_tax"):
        _taken_over(tmp_path, tmp_path)
    shutil.copyfile(RESULTS / "report.json", given / "report.json")
    with pytest.raises(BerrypickError, match=r"holds 0 files of cells"):
        _taken_over(tmp_path, given)
    assert not (tmp_path / "run").exists()


def test_published_results_are_small_and_hold_no_rollouts():
    if not RESULTS.is_dir():
        pytest.skip("no committed results")
    files = [path for path in RESULTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 5_000_000
    assert not [path for path in files if "rollouts" in path.name]


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(BerrypickError, match=r"holds no report.json"):
        publish(EXPERIMENT, tmp_path, tmp_path)


def test_what_is_published_is_never_replaced_by_less_nor_what_others_wrote(report, tmp_path):
    run, project = tmp_path / "run", tmp_path / "project"
    run.mkdir()
    (run / "report.json").write_text(json.dumps(report))
    with pytest.raises(BerrypickError, match=r"has no pyproject.toml"):
        publish(EXPERIMENT, run, project)
    (project / "docs").mkdir(parents=True)
    (project / "pyproject.toml").write_text("")
    (project / "docs" / "findings.md").write_text("my own words")
    with pytest.raises(BerrypickError, match=r"findings.md was not written by a report"):
        publish(EXPERIMENT, run, project)
    (project / "docs" / "findings.md").unlink()
    publish(EXPERIMENT, run, project)
    less = {**report, "cells": {**report["cells"], "done": report["cells"]["done"] - 1}}
    (run / "report.json").write_text(json.dumps(less))
    with pytest.raises(BerrypickError, match=r"finish the run, or move"):
        publish(EXPERIMENT, run, project)
    assert json.loads((project / "results" / "diversity_tax" / "report.json").read_text()) == report
