"""What is measured and kept at a checkpoint of a language model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world.closed_voice import KINDS
from berrypick.experiments.grid import language_states
from berrypick.experiments.grid.language_states import measure_checkpoint, population_measures
from berrypick.experiments.runs.run_folder import stored_json
from berrypick.policies.language.kind_words import kind_tokens, read_kinds
from berrypick.policies.language.tiny import tiny_tokenizer
from berrypick.policies.tabular.histories import State
from berrypick.policies.tabular.readings import decode_questions, decode_states
from fixtures.babbler import babbler

CONFIG = {"questions": 6, "samples": 8, "read_samples": 4, "seed": 0}


@pytest.fixture(scope="module")
def task():
    return make_task("berrypick/World-v0", num_train=0, num_validation=0, num_test=8)


@pytest.fixture(scope="module")
def policy():
    tokenizer = tiny_tokenizer()
    found = babbler(tokenizer)
    bias = torch.zeros(len(tokenizer))
    bias[kind_tokens(tokenizer, KINDS[:3])] = 6.0
    found.model.lm_head.register_forward_hook(lambda module, args, logits: logits + bias)
    return found


def test_a_checkpoint_keeps_its_table_and_the_values_that_follow_from_it(policy, task, tmp_path, monkeypatch):
    read = []

    def watched(model, episodes):
        read.extend(episodes)
        return read_kinds(model, episodes)

    monkeypatch.setattr(language_states, "read_kinds", watched)
    found = measure_checkpoint(tmp_path / "a.json", policy, task, CONFIG, "babbler", 0)
    # the first 4 of the 8 rollouts of each of the 6 questions
    assert [episode.question.id for episode in read] == [q.id for q in task.split("test")[:6] for _ in range(4)]
    readings = read_kinds(policy, read)
    table = decode_states(found["states"])
    roots = [reading.chances for reading in readings if not reading.state.history]
    assert table.probabilities[State()] == pytest.approx(np.mean(roots, 0), abs=1e-5)
    assert found["information"]["readings"] == len(readings)
    for name, value in population_measures(table, task.world).items():
        assert found["measures"][name] == pytest.approx(value, abs=1e-4), name
    assert {"pass@1", "pass@8_plan", "give_up_loss", "kind_information_logits"} <= set(found["measures"])
    assert set(decode_questions(found["question_tables"])) == {reading.question for reading in readings}
    assert measure_checkpoint(tmp_path / "a.json", None, task, CONFIG, "babbler", 0) == found  # read from the file


def test_a_policy_that_does_not_search_has_no_values_in_the_population(policy, task, tmp_path, monkeypatch):
    monkeypatch.setattr(language_states, "read_kinds", lambda model, episodes: [])
    found = measure_checkpoint(tmp_path / "a.json", policy, task, CONFIG, "silent", 0)
    assert found["states"] == {}
    assert not [name for name in found["measures"] if name.endswith("_population")]
    assert decode_questions(found["question_tables"]) == {}
    assert stored_json(tmp_path / "a.json") == found
