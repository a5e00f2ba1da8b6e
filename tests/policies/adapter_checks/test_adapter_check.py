"""The self-test of adapters: a good tokenizer passes every row, and each fault fails its own row with a cure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
from berrypick.__main__ import main
from berrypick.policies.adapter_checks import ADAPTERS, Check, Settings, check_adapter
from fixtures.tokenizers_made import CHATML, byte_tokenizer

WORLD = {"num_train": 4, "num_validation": 0, "num_test": 1}
THOUGHTLESS = CHATML.replace("message['content'] }}", "message['content'].split('</think>')[-1] }}")
TRIMMED = CHATML.replace("message['content'] }}", "message['content'] | replace('\\n\\n', '\\n') }}")
REFUSES = CHATML + "{{ raise_exception('Conversation roles must alternate') }}"


def rows(tokenizer: Any, adapter: str = "trl", **arguments: object) -> dict[str, Check]:
    settings = Settings(tokenizer, "berrypick/World-v0", WORLD | arguments)
    return {row.name: row for row in check_adapter(adapter, settings)}


def failed(found: dict[str, Check]) -> list[str]:
    return [name for name, row in found.items() if row.passed is False]


@pytest.mark.parametrize("turn_format", ["tags", "search_r1", "tool_call"])
def test_a_good_tokenizer_passes_every_row(turn_format: str) -> None:
    found = rows(byte_tokenizer(), turn_format=turn_format)
    assert failed(found) == []
    assert {name for name, row in found.items() if row.passed is None} <= {"trainer"}
    assert found["rollout_func: groups and rewards"].found == "rewards 1 1 0 0; 1 1 0 0"
    assert found["rollout_func: trained tokens are the sampled ones"].found == "8 of 8 rollouts"


FAULTS = {
    "strips": (byte_tokenizer(THOUGHTLESS), "later turns keep earlier tokens", "strips the thought"),
    "rewrites": (byte_tokenizer(TRIMMED), "later turns keep earlier tokens", "trims or rewrites"),
    "end": (byte_tokenizer(end="<|endoftext|>"), "end of a turn", "ends turns with '<|im_end|>'"),
    "tools": (byte_tokenizer(CHATML.partition("{% for")[1] + CHATML.partition("{% for")[2]),
              "environment_factory: tools in the template", "ignores tools"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fails_its_own_row_and_says_what_to_do(fault: str) -> None:
    tokenizer, name, seen = FAULTS[fault]
    found = rows(tokenizer)
    assert failed(found) == [name]
    assert seen in found[name].found and len(found[name].cure) > 10


def test_without_a_template_nothing_else_of_the_tokenizer_is_checked() -> None:
    found = rows(byte_tokenizer(None))
    assert found["chat template"].passed is False and "tokenizer.chat_template" in found["chat template"].cure
    assert "prompt" not in found and "rollout_func: ids, mask, log-probs" in failed(found)


def test_a_template_that_refuses_our_roles_and_a_missing_padding_token_are_named() -> None:
    found = rows(byte_tokenizer(REFUSES, pad=None))
    assert "Conversation roles must alternate" in found["prompt"].found
    assert found["padding token"].cure.startswith("tokenizer.pad_token = tokenizer.eos_token")


def test_a_tokenizer_that_changes_text_is_named() -> None:
    from tokenizers import normalizers

    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    assert "turns survive decoding" in failed(rows(tokenizer))


def test_verls_rows() -> None:
    found = rows(byte_tokenizer(), "verl")
    assert failed(found) == []
    assert found["rows name their group"].found == "4 questions, 4 groups"
    assert "max_tool_response_length=8000" in found["length of tool responses"].cure


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_trainer_that_is_absent_is_a_note_and_needs_no_traceback(adapter: str) -> None:
    found = rows(byte_tokenizer(), adapter)
    row = found["trainer"]
    assert row.passed in (True, None)
    if "not installed" in row.found:
        assert f"pip install {ADAPTERS[adapter].package}" in row.cure
        assert failed(found) == []


def test_the_command_prints_a_table_and_json_and_its_status_tells_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    byte_tokenizer().save_pretrained(tmp_path / "good")
    byte_tokenizer(THOUGHTLESS).save_pretrained(tmp_path / "bad")
    words = ["adapter-check", "trl", "--env-arg", "num_train=4", "num_validation=0", "num_test=1"]
    assert main([*words, "--tokenizer", str(tmp_path / "good"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["adapter"] == "trl" and all(row["passed"] is not False for row in document["checks"])
    assert main([*words, "--tokenizer", str(tmp_path / "bad")]) == 1
    out = capsys.readouterr().out
    assert "FAIL" in out and "strips the thought" in out and f"1 of {len(document['checks'])} rows fail" in out
    assert max(map(len, out.splitlines()[:-1])) <= 100, "the last line is a path of any length"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trll", "--tokenizer", "tiny"], "did you mean trl"),
        (["trl", "--tokenizer", "nowhere/at-all"], "cannot load the tokenizer of 'nowhere/at-all'"),
        (["trl", "--tokenizer", "tiny", "--split", "tset"], "did you mean test"),
    ],
)
def test_what_cannot_be_checked_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapter-check", *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
