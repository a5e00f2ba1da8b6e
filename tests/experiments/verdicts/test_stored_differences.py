"""Each published difference follows from the published cells, as their file is: without what was thinned out of it."""

from __future__ import annotations

import json

import pytest
from berrypick.experiments.grid.evidence import differences_of
from berrypick.experiments.grid.experiment import Results
from berrypick.experiments.grid.report import is_pilot
from berrypick.experiments.grid.series import read_grid
from berrypick.experiments.registry import open_experiment
from berrypick.experiments.verdicts import SYSTEMS
from fixtures.published_system import ROOT, published_rows


@pytest.mark.parametrize("name", [system.name for system in SYSTEMS])
def test_every_difference_of_a_report_follows_from_the_cells_beside_it(name: str) -> None:
    rows, experiment = published_rows(name), open_experiment(name)
    report = json.loads((ROOT / "results" / name / "report.json").read_text())
    cells = [
        cell
        for cell in experiment.cells(report["scale"], report["seeds"])
        if not is_pilot(cell) and "condition" in cell.config
    ]
    done = {cell.key: rows[cell.key]["result"] for cell in cells if cell.key in rows}
    grid = read_grid(Results(done), cells, experiment.arms)
    known = {row["claim"]["id"]: row for row in report["verdicts"] if row["differences"]}
    contrasts = [one for one in experiment.contrasts if one.claim.id in known]
    assert contrasts
    for one in contrasts:
        row, found = known[one.claim.id], differences_of(grid, one)
        assert found is not None
        # cells are stored with six digits: ratios of small values keep four of them
        by_world = [found[world] for world in row["worlds"]]
        assert by_world == pytest.approx(row["differences"], abs=2e-5, rel=2e-4), one.claim.id
