"""Published evaluation settings."""

from __future__ import annotations

import json

import pytest
from berrypick.__main__ import main
from berrypick.envs.tasks.presets import evaluation_preset
from berrypick.envs.tasks.registry import make_task
from berrypick.retrieval_index.errors import UnknownNameError


def test_search_r1_runs_from_the_command_line_with_its_own_prompt(tmp_path, capsys):
    (tmp_path / "corpus.jsonl").write_text('{"id": "a", "title": "Engine", "text": "Babbage built the engine."}\n')
    row = {
        "id": "q",
        "question": "Who built the engine",
        "golden_answers": ["Babbage"],
        "metadata": {"supporting_ids": ["a"]},
    }
    (tmp_path / "questions.jsonl").write_text(json.dumps(row) + "\n")
    status = main(
        [
            "eval", "--env", "berrypick/Custom-v0", "--policy", "oracle", "--samples", "1", "--preset", "search-r1",
            "--out", str(tmp_path / "run"), "--json",
            "--env-arg", f"corpus={tmp_path}/corpus.jsonl", f"questions={tmp_path}/questions.jsonl",
        ]
    )  # fmt: skip
    assert status == 0
    json.loads(capsys.readouterr().out)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["env_args"]["turn_format"] == "search_r1" and config["max_new_tokens"] == 500
    record = json.loads((tmp_path / "run" / "rollouts.jsonl").read_text())
    first = record["turns"][0]["observation"]
    assert first == '\n\n<information>Doc 1(Title: "Engine") Babbage built the engine.</information>\n\n'
    assert record["em"] == 1.0


def test_the_preset_is_four_searches_and_a_last_turn_without_a_budget():
    preset = evaluation_preset("search-r1")
    assert "search_budget" not in preset.arguments_for("berrypick/World-v0")
    task = make_task("berrypick/World-v0", num_train=4, num_test=4, **preset.arguments_for("berrypick/World-v0"))
    assert (task.spec.max_turns, task.spec.top_k, task.spec.turn_format) == (5, 3, "search_r1")
    with pytest.raises(UnknownNameError, match="did you mean search-r1"):
        evaluation_preset("searchr1")
