"""Language-model cells in a World of several query formats: smoke runs, the learned classifier, wordings."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from berrypick.envs.recording import record_of
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.darling import EXPERIMENT
from berrypick.experiments.grid import language_cells, language_classifier
from berrypick.experiments.grid.language_classifier import classifier_of
from berrypick.experiments.measures.measures import MEASURES, Group
from berrypick.experiments.runs import recipes
from berrypick.policies.objectives import load_classifier
from berrypick.policies.scripted import scripted_policy
from fixtures.demonstrations import demonstrate

ARGS = {"num_train": 64, "num_validation": 0, "num_test": 0, "index": "bm25s", **EXPERIMENT.language.world_args}


def test_wordings_per_path_by_hand_and_in_a_world_of_formats():
    def wordings(task):
        found = []
        for group in demonstrate(task, samples=12, questions=20):
            words = {tuple(episode.queries) for episode in group}
            paths = {tuple(turn.hits[0][0].id for turn in episode.turns if turn.hits) for episode in group}
            records = [record_of(episode, sample_index=at, seed=0) for at, episode in enumerate(group)]
            found.append(MEASURES["wordings_per_path"].of_group(Group(records)))
            assert found[-1] == pytest.approx(len(words) / len(paths))
        return np.mean(found)

    assert wordings(make_task("berrypick/World-v0", num_train=20, num_validation=0, num_test=0)) == 1
    assert wordings(make_task("berrypick/World-v0", **{**ARGS, "num_train": 20})) > 1.3


def test_a_classifier_that_sees_queries_alone_tells_paths_from_wordings(tmp_path, monkeypatch):
    task = make_task("berrypick/World-v0", **ARGS)
    policy = scripted_policy("random_order")
    found = classifier_of(tmp_path / "classifier", policy, task, {"classifier_questions": 64, "seed": 0})
    assert found["classifier_accuracy"] > 0.8 and found["classifier_pairs"] > 100
    assert found["classifier_accuracy"] == pytest.approx(
        (found["classifier_recall"] + found["classifier_specificity"]) / 2
    )
    same = load_classifier(tmp_path / "classifier")
    assert same(("ledger founder tamika",), ("ledger founder tamika",))
    monkeypatch.setattr(language_classifier, "play_groups", None)  # what was learned is not learned again
    assert classifier_of(tmp_path / "classifier", policy, task, {"classifier_questions": 64, "seed": 0}) == found


@pytest.mark.slow
def test_cells_of_formats_are_bit_identical_and_share_start_and_classifier(tmp_path, monkeypatch):
    monkeypatch.setitem(recipes.WORLD_DEMONSTRATIONS, "num_train", 64)
    # after three SFT steps nothing is searched: the classifier is learned from the demonstrator instead
    learned = language_classifier.classifier_of
    monkeypatch.setattr(
        language_cells, "classifier_of", lambda folder, _, task, config: learned(
            folder, scripted_policy("random_order"), task, config
        )
    )  # fmt: skip
    few = {"sft_steps": 3, "training_questions": 32, "questions": 4, "read_samples": 4}
    grid = replace(EXPERIMENT.language, checkpoints=(0, 1), **few, least=0.0)
    cells = {cell.config["arm"]: cell for cell in grid.cells(1)}
    assert set(cells) == set(EXPERIMENT.language.arms)

    def run(arm, folder):
        work = tmp_path / folder / "work" / cells[arm].key
        work.mkdir(parents=True)
        return grid.run(cells[arm], work)

    results = {arm: run(arm, "a") for arm in ("darling_learned", "lexical")}
    for arm, found in results.items():
        assert list(found["checkpoints"]) == ["0", "1"]
        assert ("classifier_accuracy" in found["checkpoints"]["1"]) == (arm == "darling_learned")
        expected = {"pass@1", "give_up_loss", "execution_loss"}
        assert expected <= set(found["checkpoints"]["1"])
    starts = [found["checkpoints"]["0"] for found in results.values()]
    assert starts[1].items() <= starts[0].items()
    sft = tmp_path / "a" / "work" / "language" / "sft" / "priced"
    assert [path.name for path in sft.iterdir() if path.is_dir()] == ["world-1100"]
    again = run("darling_learned", "b")
    assert json.dumps(again) == json.dumps(results["darling_learned"])
