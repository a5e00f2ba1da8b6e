"""docs/findings.md is what the committed report says, and says nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.experiments.findings import findings, publish

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "diversity_tax"


@pytest.fixture(scope="module")
def report():
    if not (RESULTS / "report.json").is_file():
        pytest.skip("no committed results")
    return json.loads((RESULTS / "report.json").read_text())


def test_the_page_is_regenerated_from_the_report(report):
    assert (ROOT / "docs" / "findings.md").read_text() == findings(report)


def test_every_number_of_the_page_changes_with_the_report(report):
    emptied = json.loads(json.dumps(report))
    for content in emptied["conditions"].values():
        for strengths in content["arms"].values():
            for one in strengths.values():
                one["measures"] = dict.fromkeys(one["measures"])
                one["temperatures"] = {}
                for name in set(one) - {"measures", "seeds", "missing", "start", "trajectory", "temperatures", "mixes"}:
                    one[name] = None if name not in ("difference", "equal_entropy", "control") else one[name]
                one["difference"] = {}
                one["equal_entropy"] = {}
    for verdict in emptied["verdicts"]:
        verdict.update(estimate=None, inside=None, p_supported=None)
    decimals = re.findall(r"[+-]?\d\.\d{3}\b", findings(emptied))
    assert not decimals


def test_published_results_are_small_and_hold_no_rollouts():
    if not RESULTS.is_dir():
        pytest.skip("no committed results")
    files = [path for path in RESULTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 5_000_000
    assert not [path for path in files if "rollouts" in path.name]


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(BerrypickError, match=r"holds no report.json"):
        publish(tmp_path, tmp_path)
