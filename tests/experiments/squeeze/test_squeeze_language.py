"""Language-model cells that imitate a demonstrator of given shares; bit-identical, with sequences counted exactly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from berrypick.experiments.runs import recipes
from berrypick.experiments.squeeze import ALL, EXPERIMENT, ONE

pytestmark = pytest.mark.slow


def test_cells_are_bit_identical_and_each_demonstrator_has_its_own_start(tmp_path, monkeypatch):
    monkeypatch.setitem(recipes.WORLD_DEMONSTRATIONS, "num_train", 64)
    few = {"sft_steps": 3, "training_questions": 32, "questions": 4, "read_samples": 4}
    grid = replace(EXPERIMENT.language, checkpoints=(0, 1), **few, least=0.0)
    cells = [
        cell for cell in grid.cells(1) if cell.config["condition"] in (f"roomy_uneven/{ONE}", f"roomy_uneven/{ALL}")
    ]
    assert len(cells) == 2

    def run(cell, folder):
        work = tmp_path / folder / "work" / cell.key
        work.mkdir(parents=True)
        return grid.run(cell, work)

    results = [run(cell, "a") for cell in cells]
    for found in results:
        assert list(found["checkpoints"]) == ["0", "1"]
        assert {"pass@1", "unique_query_ratio"} <= set(found["checkpoints"]["1"])
    sft = tmp_path / "a" / "work" / "language" / "sft"
    assert sorted(path.name for path in sft.iterdir()) == sorted(
        f"roomy_uneven-{cell.config['condition'].split('/')[1]}" for cell in cells
    )
    settings = json.loads((sft / f"roomy_uneven-{ONE}" / "world-1300" / "config.json").read_text())
    assert ONE in json.dumps(settings) and '"budget": 4' in json.dumps(settings)
    assert json.dumps(run(cells[0], "b")) == json.dumps(results[0])
