"""docs/reliability.md is what the counts say, and every count of something lost is 0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.experiments.report.reliability import COUNTS, reliability_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def test_the_page_is_generated() -> None:
    written = PAGE.read_text(encoding="utf-8")
    command = "python -m berrypick.experiments.report.reliability > docs/reliability.md"
    assert reliability_page() == written, f"run: {command}"
    assert command in written


def test_a_section_for_each_file_of_counts(tmp_path: Path) -> None:
    files = {
        "faults": {"eval": {"operations": 42, "tried": 210, "modes": {}, "wrong": 0},
                   "run": {"operations": 106, "tried": 530, "modes": {}, "wrong": 1}},
        "flips": {"artefacts": {"cell": {"tried": 300, "named": 290, "harmless": 10, "silent": 0}}},
        "fuzz": {"inputs": {"rollouts": 1200}, "wrong": 0, "seed": 3, "command": "pytest somewhere"},
        "server": {"calm_p99_ms": 12.5, "ratio": 1.25},
        "soak": {"seconds": 600, "cycles": 90, "requests": 1000, "left_over": 0, "processes": {
            "server": {"warm_mib": 100.0, "end_mib": 100.5, "slope_kib_per_cycle": 1.5, "handles_gained": 0}}},
        "mutants": {"seed": 1, "population": 5000, "mutants": 300, "killed": 295, "survived": 5,
                    "areas": {"metrics": {"mutants": 20, "killed": 20}}},
    }  # fmt: skip
    assert reliability_page(tmp_path).count("\n## ") == 0
    for name, counts in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(counts))
    page = reliability_page(tmp_path)
    assert page.count("\n## ") == len(files)
    lines = [" ".join(line.replace("|", " ").split()) for line in page.splitlines() if line.startswith("|")]
    assert {"`run` 106 530 1", "all 148 740 1", "cell 300 290 10 0", "rollouts 1,200"} <= set(lines)
    assert "server 100.0 100.5 1.5 0" in lines and "99th percentile, attack / calm 1.25" in lines
    assert "all 300 295 – 5 – –" in lines and "    pytest somewhere" in page


@pytest.mark.skipif(not COUNTS.is_dir(), reason="no counts")
def test_nothing_was_lost() -> None:
    counts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in COUNTS.glob("*.json")}
    assert all(row["wrong"] == 0 for row in counts.get("faults", {}).values())
    assert all(row["silent"] == 0 for row in counts.get("flips", {"artefacts": {}})["artefacts"].values())
    assert counts.get("fuzz", {}).get("wrong", 0) == 0
    assert counts.get("server", {}).get("wrong_answers", 0) == 0
    assert counts.get("soak", {}).get("left_over", 0) == 0
