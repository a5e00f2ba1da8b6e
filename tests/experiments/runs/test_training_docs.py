"""The page on training: its code runs, its commands parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from berrypick.experiments.commands.parser import parse_command

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line.strip().split("berrypick ", 1)[1] for line in re.findall(r"^    .*berrypick .*$", PAGE, re.MULTILINE)]
OTHERS = ("--multi_gpu", "--num_processes", "--address", "--cpu", "--steps 0` or")
FLAGS = [flags for flags in re.findall(r"`(--[a-z-]+[^`]*)`", PAGE) if not flags.startswith(OTHERS)]


@pytest.mark.slow
def test_the_page_runs() -> None:
    assert len(CODE) == 6
    exec(compile("\n".join(CODE), "training.md", "exec", dont_inherit=True), {"__name__": "page"})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_parses(command: str) -> None:
    parse_command(shlex.split(command))


@pytest.mark.parametrize("flags", FLAGS)
def test_flags_of_the_page_are_flags_of_train(flags: str) -> None:
    parse_command(shlex.split(f"train --env e --out o {flags}"))
