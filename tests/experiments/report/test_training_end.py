"""The end of training: a sentence with the numbers of metrics.jsonl, and a command that evaluates the weights."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from berrypick.experiments.commands.parser import parse_command
from berrypick.experiments.report.training_end import sweep_sentence, training_closing, training_sentence


def metrics(tmp_path: Path, rows: list[dict[str, float]]) -> Path:
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_sentence_compares_the_means_of_the_first_and_last_five_steps(tmp_path: Path) -> None:
    rows = [{"sft/loss": 9.0}, *({"reward": step / 20} for step in range(20))]
    text = training_sentence(metrics(tmp_path, rows))
    assert "reward on training questions went from 0.100 to 0.850 over 20 steps" in text
    assert "means of the first and last 5" in text


def test_sft_alone_tells_its_loss_and_an_empty_run_nothing(tmp_path: Path) -> None:
    text = training_sentence(metrics(tmp_path, [{"sft/loss": 6.0}, {"sft/loss": 2.0}]))
    assert "SFT loss went from 6.000 to 2.000 over 2 steps" in text
    assert training_sentence(metrics(tmp_path, [])) == training_sentence(tmp_path / "nowhere") == ""


def test_the_next_command_is_one_that_parses(tmp_path: Path) -> None:
    closing = training_closing(tmp_path / "a run", "berrypick/World-v0", ("preset=priced", "index=bm25s"))
    parsed = parse_command(shlex.split(closing.next[0])[1:])
    assert parsed.name == "berrypick eval"
    assert str(tmp_path / "a run") == parsed.flags.policy and parsed.flags.env_arg == ("preset=priced", "index=bm25s")


def test_a_sweep_averages_over_seeds_and_calls_nothing_sure() -> None:
    cells = {
        "a": {"objective": "grpo", "metrics": {"reward": 0.5}},
        "b": {"objective": "grpo", "metrics": {"reward": 0.7}},
        "c": {"objective": "darling", "metrics": {"reward": 0.65}},
        "d": {"objective": "rloo", "metrics": {}},
    }
    assert "darling 0.650 (1 seed), grpo 0.600 (2 seeds); these are single batches" in sweep_sentence(cells)
    assert sweep_sentence({}) == ""
