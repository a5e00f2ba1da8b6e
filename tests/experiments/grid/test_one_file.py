"""An experiment is one file: cells, verdicts, a page, figures and CSV come from the machinery."""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.experiments import EXPERIMENTS

FILE = Path(__file__).with_name("toy_experiment.py")


@pytest.fixture(autouse=True)
def _without_the_toy():
    """Forgets the file after each test: it registers once per process."""
    yield
    EXPERIMENTS.pop("toy", None)
    for name in [name for name in sys.modules if name.startswith("berrypick_extension_")]:
        del sys.modules[name]


def test_the_file_is_short():
    assert len(FILE.read_text().splitlines()) <= 60


@pytest.mark.slow
def test_one_file_yields_cells_verdicts_a_page_figures_and_csv(tmp_path, capsys):
    project, out = tmp_path / "project", tmp_path / "run"
    project.mkdir()
    (project / "pyproject.toml").touch()
    command = ["run", f"{FILE}:toy", "--out", str(out), "--workers", "2", "--publish", str(project)]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert text.startswith("toy, scale smoke: 4 cells done, 0 failed, 0 not run")
    cells = sorted(path.relative_to(out / "cells").as_posix() for path in (out / "cells").rglob("*.json"))
    assert cells == [
        f"tabular/priced-diverse/{arm}/world-{world}.json"
        for arm in ("darling-0.1", "dr_grpo-0")
        for world in (1000, 1001)
    ]
    report = json.loads((out / "report.json").read_text())
    breadth, pass1 = report["verdicts"]
    assert (breadth["claim"]["id"], pass1["claim"]["id"]) == ("toy-breadth", "toy-pass1")
    assert all(len(row["differences"]) == 2 and row["verdict"] for row in report["verdicts"])
    per_world = [line.split(",") for line in (out / "per_world.csv").read_text().splitlines()]
    assert per_world[0][:4] == ["condition", "arm", "strength", "world"]
    at = per_world[0].index("breadth")
    found = {(row[1], row[3]): float(row[at]) for row in per_world[1:]}
    differences = [found["darling", world] - found["dr_grpo", world] for world in ("0", "1")]
    arm = report["conditions"]["priced/diverse"]["arms"]["darling"]["0.1"]
    wastes = arm["waste"]["value"] - arm["control_waste"]["value"]
    assert arm["difference"]["pass@1"]["value"] == pytest.approx(arm["price"]["value"] - wastes, abs=3e-5)
    assert arm["worlds"] == [0, 1] and report["registration"] == []
    assert breadth["differences"] == pytest.approx(differences, abs=2e-5)
    page = (project / "docs" / "toy.md").read_text()
    assert "DARLING keeps breadth that Dr. GRPO loses" in page and "Differs from the paper in everything" in page
    for figure in ("toy_pass.png", "toy_breadth.png"):
        assert (project / "results" / "toy" / "figures" / figure).stat().st_size > 5_000
    assert "figures/toy_pass.png" in page and "over worlds" in page and "seeds" not in page.replace("--seeds", "")
    kept = project / "results" / "toy" / "grid_cells.jsonl.xz"
    rows = [json.loads(line) for line in lzma.decompress(kept.read_bytes()).splitlines()]
    assert [row["config"]["world"] for row in rows] == [1000, 1000, 1001, 1001]
    again = tmp_path / "again"
    assert main(["run", f"{FILE}:toy", "--out", str(again), "--given", str(kept.parent), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdicts"] == report["verdicts"]
    assert not (again / "work").exists()  # nothing was computed


def test_the_same_command_computes_nothing_again(tmp_path, capsys):
    command = ["run", f"{FILE}:toy", "--out", str(tmp_path / "run"), "--seeds", "1", "--json"]
    assert main(command) == 0
    first = capsys.readouterr().out
    cell = next((tmp_path / "run" / "cells").rglob("*.json"))
    before = cell.stat().st_mtime_ns
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert cell.stat().st_mtime_ns == before


def test_a_file_or_a_name_that_is_not_there_is_one_line(tmp_path, capsys):
    assert main(["run", f"{tmp_path}/no.py:toy", "--out", str(tmp_path / "run")]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert main(["run", f"{FILE}:toi", "--out", str(tmp_path / "run")]) == 2
    assert "did you mean toy?" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_installed_package_brings_an_experiment_by_its_entry_point(tmp_path, monkeypatch, capsys):
    (tmp_path / "their_experiments.py").write_text(FILE.read_text().replace('name="toy"', 'name="theirs"'))
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[berrypick.experiments]\nall = their_experiments\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert main(["list"]) == 0
        assert "theirs" in capsys.readouterr().out
    finally:
        EXPERIMENTS.pop("theirs", None)
