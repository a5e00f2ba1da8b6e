"""The code that docs/retrieval.md shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs" / "retrieval.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_documented_code_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"docs/retrieval.md block {number}", "exec"), {"__name__": "docs"})


def test_every_documented_command_parses() -> None:
    import shlex

    from berrypick.experiments.commands.parser import parse_command

    commands = re.findall(r"^berrypick (.+)$", DOCS.read_text(encoding="utf-8"), re.M)
    assert len(commands) >= 7
    for command in commands:
        parse_command(shlex.split(command))
