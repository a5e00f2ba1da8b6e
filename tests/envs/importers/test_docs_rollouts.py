"""docs/rollouts.md is what the schema and the registry say, and its example and lines run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.importers import IMPORTERS, MAPPED
from berrypick.envs.importers.documentation import rollouts_page
from berrypick.envs.record import EpisodeRecord
from berrypick.experiments.commands.parser import parse_command

PAGE = Path(__file__).resolve().parents[3] / "docs" / "rollouts.md"
TEXT = PAGE.read_text()
EXAMPLE = re.search(r"```jsonl rollouts\n(.*?)```", TEXT, re.DOTALL).group(1)


def test_the_page_is_generated() -> None:
    assert rollouts_page() == TEXT, "run: python -m berrypick.envs.importers.documentation > docs/rollouts.md"


def test_the_page_names_every_field_and_format() -> None:
    models = [EpisodeRecord, *(field.annotation for field in EpisodeRecord.model_fields.values())]
    names = {name for model in models for name in getattr(model, "model_fields", {})}
    assert all(f"| `{name}` |" in TEXT for name in (*names, *IMPORTERS, *MAPPED))
    assert all(field.description for field in EpisodeRecord.model_fields.values())


def test_the_example_has_the_pass_at_1_that_the_page_says(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rollouts.jsonl").write_text(EXAMPLE)
    assert main(["report", "rollouts.jsonl", "--json"]) == 0
    out, err = capsys.readouterr()
    (arm,) = json.loads(out)["arms"].values()
    measures = arm["measures"]
    said = float(re.search(r"pass@1 ([\d.]+):", TEXT).group(1))
    assert err == "" and measures["pass@1"]["value"] == measures["em"]["value"] == said == 0.75


def test_the_python_block_prints_what_its_comment_says(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rollouts.jsonl").write_text(EXAMPLE)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out.strip() == re.search(r"print\(.*\)  # (.*)", code).group(1)


@pytest.mark.parametrize("line", re.findall(r"^    (berrypick [^#\n]+)", TEXT, re.MULTILINE))
def test_the_commands_parse(line: str) -> None:
    assert parse_command(shlex.split(line)[1:])
