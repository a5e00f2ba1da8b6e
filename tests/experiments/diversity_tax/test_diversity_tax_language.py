"""A language-model cell: trains, measures at its checkpoints, goes on after an interruption with the same values."""

from __future__ import annotations

import json
import shutil

import pytest
from berrypick.experiments.diversity_tax import EXPERIMENT
from berrypick.experiments.grid.experiment import Cell
from berrypick.experiments.grid.language_cells import run_language_cell

pytestmark = pytest.mark.slow


@pytest.fixture
def cell():
    (first, *_) = EXPERIMENT.language.cells(1)
    small = {"sft_steps": 3, "steps": 2, "checkpoints": [0, 1, 2], "questions": 4, "samples": 2}
    return Cell(first.key, {**first.config, **small})


def test_an_interrupted_cell_ends_with_the_values_of_one_that_was_not(cell, tmp_path, monkeypatch):
    whole = run_language_cell(cell, work_of(cell, tmp_path / "whole"))
    assert list(whole["checkpoints"]) == ["0", "1", "2"]
    assert set(whole["temperatures"]) == {"0"}
    assert {"pass@1", "pass@1_plan", "breadth", "executed_right"} <= set(whole["checkpoints"]["2"])

    import berrypick.experiments.grid.language_cells as module

    real, calls = module.evaluate, []

    def interrupted(*arguments, **options):
        calls.append(options["checkpoint_step"])
        if options["checkpoint_step"] == 2 and calls.count(2) == 1:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(module, "evaluate", interrupted)
    work = work_of(cell, tmp_path / "cut")
    shared = work.parent.parent / "sft"  # the objectives of a seed share their start
    shutil.copytree(tmp_path / "whole" / shared.relative_to(tmp_path / "cut"), shared)
    with pytest.raises(KeyboardInterrupt):
        run_language_cell(cell, work)
    again = run_language_cell(cell, work)
    assert calls == [1, 2, 2, 2]  # what was measured is not measured again; the last one is greedy
    assert json.dumps(again) == json.dumps(whole)


def work_of(cell, out):
    folder = out / "work" / cell.key
    folder.mkdir(parents=True)
    return folder
