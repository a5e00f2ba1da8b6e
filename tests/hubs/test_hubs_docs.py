"""docs/hubs.md is true: its commands are commands, and those that need no other tool run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.experiments.commands.parser import parse_command

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "hubs.md").read_text()
BLOCKS = "".join(re.findall(r"^```bash .*?\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^(?:[A-Z_]+=\S+ )*(berrypick .*)$", BLOCKS, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str) -> None:
    assert parse_command(shlex.split(command)[1:])


def test_the_conversions_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    world = "--env berrypick/World-v0 --env-arg num_train=0 num_validation=0 num_test=3"
    assert main(shlex.split(f"eval {world} --policy random_order --samples 2 --out run")) == 0
    Path("run/rollouts.jsonl").rename("rollouts.jsonl")
    conversions = [command for command in COMMANDS if command.startswith("berrypick convert")]
    assert len(conversions) == 3
    for command in conversions:
        assert main(shlex.split(command)[1:]) == 0, command
    assert {path.name for path in Path().iterdir()} >= {"rollouts.json", "searches.run", "searches.qrels"}


def test_the_configuration_of_a_client_starts_the_command_of_the_page() -> None:
    (block,) = re.findall(r"```json mcp-client\n(.*?)```", PAGE, re.DOTALL)
    (server,) = json.loads(block)["mcpServers"].values()
    assert shlex.join([server["command"], *server["args"]]) in COMMANDS


def test_the_versions_that_were_tested_are_pinned_or_named_alike() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\d+\.\d+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert f"Tested with mcp {pinned['mcp']};" in PAGE
    for tool in ("openenv", "verifiers", "inspect"):
        adapter = (ROOT / "envs" / "adapters" / f"{tool}.py").read_text()
        named = [re.search(r"Tested with (?:[a-z-]+ )?([\d.]*\d)", text) for text in (adapter, _section(tool))]
        assert named[0] and named[1] and named[0][1] == named[1][1], tool


def _section(tool: str) -> str:
    (text,) = [part for part in PAGE.split("\n## ") if part.lower().startswith(tool)]
    return text


def test_local_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        file, _, heading = target.partition("#")
        there = ROOT / "docs" / file
        assert there.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            assert heading in {name.lower().replace(" ", "-") for name in headings}, target
