"""docs/findings.md is what the committed report says, and says nothing else."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.experiments.diversity_tax.experiment import EXPERIMENT
from berrypick.experiments.grid.cell_store import read_cells
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.experiment import Results
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
    for name, text in EXPERIMENT.pages(report, ROOT / "results").items():
        assert (ROOT / "docs" / name).read_text() == text


def test_every_number_of_the_page_changes_with_the_report(report):
    emptied = json.loads(json.dumps(report))
    for content in emptied["conditions"].values():
        for strengths in content["arms"].values():
            for one in strengths.values():
                one["measures"] = dict.fromkeys(one["measures"])
                one.update(dict.fromkeys(set(one) - {"measures", "worlds", "missing", "control", "trajectory"}))
                if "control" in one:
                    one["difference"] = {}
    for arms in emptied["language_model"].values():
        for row in arms.values():
            row.update(measures=dict.fromkeys(row["measures"]), difference={})
            row.update(dict.fromkeys(("frontier_distance", "waste", "price", "control_waste", "matched", "greedy")))
    for row in emptied["taxes"]:
        row.update(dict.fromkeys(("pass@1", "pass@k", "tax", "gain", "price", "waste", "control_waste", "matched")))
    for row in emptied["distinct_first"]:
        row.update(best_of_8=None, gain=None)
    for row in emptied["registration"]:
        row.update(pilot=None, room=None, undecidable="")
    for row in emptied["language_rooms"]:
        row.update(room=None, undecidable="")
    for verdict in emptied["verdicts"]:
        verdict.update(estimate=None, settings={}, p_supported=None, p_contradicted=None, reason="")
    emptied["cells"]["not_run"] = 1  # without an answer
    found = re.findall(r"[+-]?\d\.\d{3}\b", "".join(EXPERIMENT.pages(emptied, ROOT / "nowhere").values()))
    margins = {f"{row['needed']:.3f}" for row in (*report["registration"], *report["language_rooms"])}
    margins |= {f"{row['claim']['smallest_effect']:g}" for row in report["verdicts"]}
    assert set(found) <= margins


def _published_lines():
    file = RESULTS / "per_world.csv.gz"
    return gzip.decompress(file.read_bytes()).decode().splitlines() if file.is_file() else []


def _rows():
    lines = _published_lines()[1:]
    return [lines[round(share * (len(lines) - 1))] for share in (0.1, 0.5, 0.9)] if len(lines) > 2 else [""]


@pytest.mark.parametrize("row", _rows())
@pytest.mark.slow
def test_a_published_row_is_reproduced_from_its_cell(row, report, tmp_path):
    if not row:
        pytest.skip("no committed rows")
    header = _published_lines()[0]
    condition, arm, strength, world, *values = row.split(",")
    published = dict(zip(header.split(",")[4:], map(float, values)))
    key = f"tabular/{Condition.of(condition).slug}/{arm}-{strength}/world-{1000 + int(world)}"
    result = reproduce_cell(EXPERIMENT, key, tmp_path, scale="small", num_seeds=report["seeds"])
    found = result["checkpoints"]["200"]
    # six digits are kept; another processor may round the last bit of a logarithm otherwise
    assert {name: found[name] for name in published} == pytest.approx(published, abs=2e-5)


@pytest.mark.slow
def test_published_cells_are_taken_over_and_give_the_same_report(report, tmp_path):
    settings = {"scale": report["scale"], "num_seeds": report["seeds"], "only": "none-*", "given": RESULTS}
    with pytest.raises(BerrypickError, match="no cell matches"):
        run_experiment(EXPERIMENT, tmp_path / "a", **settings)
    cells = EXPERIMENT.cells(report["scale"], report["seeds"])
    done = read_cells(EXPERIMENT, cells, RESULTS / "grid_cells.jsonl.xz")
    assert len(done) == report["cells"]["done"]
    results = Results(done={key: found["result"] for key, found in done.items()})
    results.not_run = [cell.key for cell in cells if cell.key not in done]
    again = EXPERIMENT.report(results, report["scale"], report["seeds"])
    for name in ("taxes", "conditions", "language_model", "registration", "verdicts", "identities"):
        assert json.loads(json.dumps(again[name])) == report[name], name


def test_published_results_are_small_and_hold_no_rollouts():
    if not RESULTS.is_dir():
        pytest.skip("no committed results")
    files = [path for path in RESULTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 8_000_000
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
