"""A language-model cell: trains, measures at its checkpoints, goes on after an interruption with the same values."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from berrypick.envs.world.config import WorldConfig
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.experiment import Cell
from berrypick.experiments.grid.language_cells import LanguageGrid, run_language_cell
from berrypick.experiments.grid.language_states import population_measures
from berrypick.policies.tabular.histories import State
from berrypick.policies.tabular.readings import KindReading, decode_questions, decode_states
from berrypick.retrieval_index.errors import BerrypickError

pytestmark = pytest.mark.slow


@pytest.fixture
def cells():
    grid = LanguageGrid(
        places={Condition.of("priced/diverse"): {"dr_grpo": 1, "darling": 1}},
        arms={"dr_grpo": "dr_grpo", "darling": "darling"},
        temperatures=(1.0, 2.0),
        mixes=(0.5,),
        checkpoints=(0, 1, 2),
        sft_steps=3,
        training_questions=32,
        questions=4,
        samples=8,
        read_samples=4,
    )
    return grid.cells(1)


def test_an_interrupted_cell_ends_with_the_values_of_one_that_was_not(cells, tmp_path, monkeypatch):
    import berrypick.experiments.grid.language_states as module

    monkeypatch.setattr(module, "read_kinds", lambda policy, episodes: readings_of(episodes))
    cell, other = cells
    whole = run_language_cell(cell, work_of(cell, tmp_path / "whole"))
    assert list(whole["checkpoints"]) == list(whole["states"]) == list(whole["information"]) == ["0", "1", "2"]
    assert set(whole["temperatures"]) == {"0", "1", "2"} and set(whole["mixes"]) == {"0.5"}
    for name, value in whole["temperatures"]["1"].items():  # of the questions' tables, which have four digits
        assert whole["checkpoints"]["2"][name] == pytest.approx(value, abs=1e-3)
    assert whole["temperatures"]["2"]["kind_entropy_population"] > whole["temperatures"]["1"]["kind_entropy_population"]
    expected = {"pass@1", "pass@1_plan", "pass@8_plan", "breadth", "executed_right", "pass@1_population"}
    assert expected <= set(whole["checkpoints"]["2"])
    assert len(json.dumps(whole)) < 60_000
    # the stored table says the same values again
    again = population_measures(decode_states(whole["states"]["2"]), WorldConfig.from_preset("priced"))
    for name, value in again.items():
        assert whole["checkpoints"]["2"][name] == pytest.approx(value, abs=1e-5)
    assert all(name.startswith("world-1000-test-") for name in decode_questions(whole["question_tables"]))

    real, calls = module.evaluate, []

    def interrupted(*arguments, **options):
        calls.append(options["checkpoint_step"])
        if options["checkpoint_step"] == 2 and calls.count(2) == 1:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(module, "evaluate", interrupted)
    work = work_of(cell, tmp_path / "cut")
    shared = work.parent.parent.parent / "sft"  # the objectives of a world share their start
    shutil.copytree(tmp_path / "whole" / shared.relative_to(tmp_path / "cut"), shared)
    with pytest.raises(KeyboardInterrupt):
        run_language_cell(cell, work)
    again = run_language_cell(cell, work)
    assert calls == [1, 2, 2, 2, 2]  # what was measured is not measured again; the last two: greedy and the mixture
    assert json.dumps(again) == json.dumps(whole)
    # another objective of the same world starts from the same weights, without SFT
    side = run_language_cell(other, work_of(other, tmp_path / "cut"))
    assert side["checkpoints"]["0"] == whole["checkpoints"]["0"]
    assert calls == [1, 2, 2, 2, 2, 1, 2, 2]
    assert set(side["temperatures"]) == {"0"} and side["mixes"] == {}
    # from a start that has not learned its task nothing is trained
    with pytest.raises(BerrypickError, match=r"the base answers 0\.000 of .* raise LanguageGrid\.sft_steps of the"):
        run_language_cell(other, work, least=0.2)


def readings_of(episodes):
    """One reading of each episode: the policy has not learned to search in so few steps."""
    return [KindReading(episode.question.id, State(), np.array([0.5, 0.3, 0.1]), 0) for episode in episodes]


def test_each_world_has_a_seed_of_its_own_and_its_own_folder_of_sft():
    grid = LanguageGrid({Condition.of("priced/diverse"): {"dr_grpo": 2}}, {"dr_grpo": "dr_grpo"}, first_world=50)
    first, second = grid.cells(8)
    assert (first.config["world_seed"], second.config["world_seed"]) == (50, 51)
    assert [cell.key for cell in (first, second)] == [f"language/priced-diverse/dr_grpo/world-{i}" for i in (50, 51)]
    assert Cell(first.key, json.loads(json.dumps(first.config))).digest == first.digest


def work_of(cell, out):
    folder = out / "work" / cell.key
    folder.mkdir(parents=True)
    return folder
