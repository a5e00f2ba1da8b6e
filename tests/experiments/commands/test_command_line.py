"""Flags back into a line: what the line parses to is what it was made of."""

from __future__ import annotations

import shlex

import pytest
from berrypick.experiments.commands.command_line import command_line
from berrypick.experiments.commands.parser import parse_command

LINES = [
    "berrypick train --env berrypick/World-v0 --out 'runs/a b' --env-arg preset=priced 'reward=em + 0.2*format'",
    "berrypick train --env e --out x --steps 80 --sft-steps 0 --resume --track --learning-rate 1e-05",
    "berrypick sweep --env e --out x --objectives grpo darling:floor=0.1 --seeds 3 4",
    "berrypick eval --env e --policy 'p;rm' --out x --json --questions 3 --temperature 0.0",
    "berrypick run diversity_tax --out runs/d --scale small",
    "berrypick report runs/a runs/b --no-html",
    "berrypick demo",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_survives_parsing_and_writing(line: str) -> None:
    parsed = parse_command(shlex.split(line)[1:])
    again = command_line(parsed.name, parsed.flags)
    assert parse_command(shlex.split(again)[1:]).flags == parsed.flags
    assert sorted(shlex.split(again)) == sorted(shlex.split(line)), "and holds no flag that was not given"
