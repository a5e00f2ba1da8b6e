"""The README is true: its code runs, its commands parse, its excerpt is what the results render to."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    (berrypick [a-z]+(?: .*?)?)(?:\s{2,}#.*)?$", README, re.MULTILINE)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_blocks_run_and_say_what_their_comments_say(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    printed = capsys.readouterr().out.strip()
    asked, answered = re.findall(r"  # (.*)", code)
    assert names["question"].strip() == asked
    passage, left = answered.removeprefix("... ").split(" ... ")
    assert passage in printed and printed.endswith(left)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str) -> None:
    from berrypick.experiments.commands.parser import parse_command

    assert parse_command(shlex.split(command)[1:])


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 5


def test_local_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


RESULTS = ROOT / "results" / "demo"


def test_the_excerpt_is_what_the_committed_report_renders_to() -> None:
    from berrypick.experiments.demo.demo import print_demo
    from rich.console import Console

    screen = io.StringIO()
    print_demo(json.loads((RESULTS / "seed-0.json").read_text()), Console(file=screen, width=100))
    rendered = [line.rstrip() for line in screen.getvalue().splitlines()]
    excerpt = re.search(r"<!-- excerpt:demo -->\n+(.*?)\n+<!-- /excerpt -->", README, re.DOTALL)
    assert excerpt
    shown = [line[4:].rstrip() for line in excerpt.group(1).splitlines()]
    assert len(shown) > 10
    assert "\n".join(shown) in "\n".join(rendered)


def test_the_results_page_is_generated_from_the_committed_numbers() -> None:
    from berrypick.experiments.demo.page import demo_page

    checks = {path.stem.removeprefix("sft-check-"): path for path in sorted(RESULTS.glob("sft-check-*.json"))}
    assert checks
    pooled = json.loads((RESULTS / "report.json").read_text())
    page = demo_page(pooled, {seed: json.loads(path.read_text()) for seed, path in checks.items()})
    assert (RESULTS / "README.md").read_text() == page
