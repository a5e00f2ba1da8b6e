"""`berrypick report SWEEP`: one report on the folder of a sweep, evaluated or not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from berrypick.__main__ import main
from fixtures.browser import visit

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=6"]
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def metrics(reward: float, fall: float) -> str:
    """Twelve RL rows after one of SFT; breadth and entropy fall by a share at each step."""
    rows = [{"phase": "sft", "step": 1, "sft/loss": 2.0}]
    for step in range(1, 13):
        kept = (1 - fall) ** step
        rows.append({"phase": "rl", "step": step, "reward": reward, "search/breadth": kept, "path_entropy": 2 * kept})
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two objectives by two seeds; one cell narrows, another one failed."""
    folder = tmp_path / "sweep"
    cells = {}
    for objective, seed, reward, fall in (
        ("darling:floor=0.2", 0, 0.5, 0.0),
        ("darling:floor=0.2", 1, 0.7, 0.0),
        ("grpo", 0, 0.25, 0.0),
        ("grpo", 1, 0.75, 0.2),
    ):
        place = f"{objective.replace(':', '-')}/seed{seed}"
        (folder / place).mkdir(parents=True)
        (folder / place / "metrics.jsonl").write_text(metrics(reward, fall))
        config = {"env": "berrypick/World-v0", "env_args": {"num_test": 6}}
        (folder / place / "config.json").write_text(json.dumps(config))
        cells[place] = {"cell": place, "objective": objective, "seed": seed, "metrics": {"reward": reward}}
    (folder / "sweep.json").write_text(json.dumps({"cells": cells, "failures": {"vpo/seed0": "out of \x1b[31mmemory"}}))
    return folder


def evaluate(sweep: Path, cell: str, policy: str, seed: int) -> None:
    words = ["eval", *WORLD, "--policy", policy, "--samples", "2", "--seed", str(seed), "--no-html", "--json"]
    assert main([*words, "--out", str(sweep / f"{cell}-test")]) == 0


@pytest.mark.slow
def test_a_sweep_without_evaluations_shows_its_training_and_what_to_run(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(sweep)]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith(("grpo ", "darling"))}
    assert rows["grpo"][0] == "0.500" and rows["darling:floor=0.2"][0] == "0.600"
    assert rows["grpo"][-1] == "1" and rows["darling:floor=0.2"][-1] == "0"
    flat = " ".join(out.split())
    assert "alarm in grpo-seed1: narrowing, since step" in flat
    assert "failed: vpo/seed0: out of" in flat and "\x1b[31mmemory" not in out
    assert "no cell is evaluated on held-out questions, so which is better cannot be said." in flat
    assert (
        f"berrypick eval --env berrypick/World-v0 --env-arg num_test=6 --policy {sweep}/darling-floor=0.2/seed0" in flat
    )
    assert max(map(len, out.split("page:")[0].splitlines())) <= 100
    seen = visit(sweep / "report.html")
    assert seen.console == [] and "No cell is evaluated" in seen.document
    assert seen.document.count("<figure>") == 3
    assert main(["report", str(sweep), "--by", "step"]) == 2
    assert "is a sweep without evaluated cells; evaluate each: berrypick eval" in capsys.readouterr().err


@pytest.mark.slow
def test_evaluated_cells_are_compared_over_seeds(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        evaluate(sweep, f"grpo/seed{seed}", "best_order", seed)
        evaluate(sweep, f"darling-floor=0.2/seed{seed}", "random_order", seed)
    capsys.readouterr()
    assert main(["report", str(sweep), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    pooled = report["held_out"]
    assert pooled["seeds"] == [0, 1] and list(pooled["differences"]) == ["darling:floor=0.2 - grpo"]
    for seed in (0, 1):
        alone = report["cells"]["arms"][f"grpo-seed{seed}"]["measures"]["pass@1"]["value"]
        assert pooled["arms"]["grpo"]["pass@1"]["per_seed"][seed] == alone
    assert report["training"]["grpo"]["training_reward"] == {"mean": 0.5, "per_seed": [0.25, 0.75]}
    step, row = report["curves"]["training_reward"]["grpo"][-1]
    assert (step, row["value"], row["low"], row["high"]) == (12, 0.5, 0.25, 0.75)
    assert main(["report", str(sweep)]) == 0
    out = capsys.readouterr().out
    assert "means over seeds 0, 1" in out and "darling:floor=0.2 - grpo" in out
    assert f"page:     {sweep / 'report.html'}" in out
    seen = visit(sweep / "report.html")
    assert seen.console == []
    text = re.sub(r"<[^>]+>", " ", seen.document)
    assert "Means over seeds" in text and "48 of 48 episodes" in text and "exact for these 6 questions" in text


def test_cells_without_two_common_seeds_are_compared_as_arms(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(sweep, "grpo/seed0", "best_order", 0)
    evaluate(sweep, "darling-floor=0.2/seed0", "random_order", 0)
    evaluate(sweep, "grpo/seed1", "best_order", 1)
    capsys.readouterr()
    assert main(["report", str(sweep), "--no-html"]) == 0
    out = capsys.readouterr().out
    assert "darling:floor=0.2-seed0 - grpo-seed0" in out and "means over seeds" not in out
    assert "grpo-seed1 - grpo-seed0" in out
    assert "cells not evaluated: 1" in out
    assert not (sweep / "report.html").exists()
    other = str(sweep / "grpo" / "seed0-test")
    assert main(["report", str(sweep), other, "--no-html"]) == 0  # beside another run its cells are arms
    assert "grpo-seed1" in capsys.readouterr().out
