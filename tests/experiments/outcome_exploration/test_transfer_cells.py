"""A language-model cell of T4 trains on solved questions only, bit-identically each time; all arms share one start."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from berrypick.experiments.grid import transfer_cells
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.transfer_cells import TRANSFER_MEASURES
from berrypick.experiments.outcome_exploration import EXPERIMENT
from berrypick.experiments.runs import recipes
from berrypick.retrieval_index.errors import BerrypickError

pytestmark = pytest.mark.slow

GRID = replace(
    EXPERIMENT.language,
    condition=Condition.of("tight_uneven/shares-80-10-10/questions=24/own"),
    arms={"grpo": "grpo", "kl": "kl:beta=0.01"},
    sft_steps=3,
    checkpoints=(0, 1),
    label_rollouts=1,
    samples=8,
    solved_measured=2,
)


@pytest.fixture(autouse=True)
def _few_demonstrations(monkeypatch):
    monkeypatch.setitem(recipes.WORLD_DEMONSTRATIONS, "num_train", 64)


def run(cell, folder):
    return GRID.run(cell, _folder(folder, cell))


def test_cells_are_bit_identical_and_train_on_solved_questions_alone(tmp_path, monkeypatch):
    asked, real = [], transfer_cells.play_groups

    def played(policy, task, questions, *arguments):
        asked.append([question.id for question in questions])
        return real(policy, task, questions, *arguments)

    monkeypatch.setattr(transfer_cells, "play_groups", played)
    # after three SFT steps nothing is solved
    monkeypatch.setattr(transfer_cells, "label_questions", lambda *_: {"solved": list(range(20)), "unsolved": [20, 21]})
    first, other = GRID.cells(1)
    whole = run(first, tmp_path / "a")
    assert list(whole["checkpoints"]) == ["0", "1"]
    for values in whole["checkpoints"].values():
        assert set(values) == set(TRANSFER_MEASURES)
        assert (values["unsolved_questions"], values["solved_questions"]) == (2, 20)
    assert [len(ids) for ids in asked] == [2, 2] * 2
    trained = (tmp_path / "a" / "work" / first.key / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(trained) == 1
    assert json.dumps(run(first, tmp_path / "b")) == json.dumps(whole)
    side = GRID.run(other, _folder(tmp_path / "a", other))
    assert side["checkpoints"]["0"] == whole["checkpoints"]["0"]


def _folder(folder, cell):
    work = folder / "work" / cell.key
    work.mkdir(parents=True)
    return work


def test_a_start_that_solves_nothing_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer_cells, "label_questions", lambda *_: {"solved": [], "unsolved": [1]})
    with pytest.raises(BerrypickError, match="solves no question; train it for more SFT steps"):
        run(GRID.cells(1)[0], tmp_path)
