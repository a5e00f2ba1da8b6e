"""The examples of docs/data.md are a working environment."""

from __future__ import annotations

import re
from pathlib import Path

import berrypick  # noqa: F401
import gymnasium as gym

DOCS = Path(__file__).resolve().parents[3] / "docs" / "data.md"


def test_the_documented_files_play(tmp_path):
    blocks = dict(re.findall(r"```jsonl (\w+)\n(.*?)```", DOCS.read_text(), re.DOTALL))
    for name, body in blocks.items():
        (tmp_path / f"{name}.jsonl").write_text(body)
    env = gym.make(
        "berrypick/Custom-v0",
        corpus=str(tmp_path / "corpus.jsonl"),
        questions=str(tmp_path / "questions.jsonl"),
        reward="em + all_hops",
    )
    env.reset(seed=0)
    env.step("<search> Ada Lovelace Charles Babbage born </search>")
    assert env.step("<answer> in 1791 [1][2] </answer>")[1] == 2.0
