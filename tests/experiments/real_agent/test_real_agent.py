"""The study of a real agent: its verdicts by hand, and all its cells on invented sets with a fresh tiny model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.real_agent.agents import RULES, Sizes, task_of, training_task
from berrypick.experiments.real_agent.claims import CLAIMS, StudyClaim, judge, matched
from berrypick.experiments.real_agent.experiment import EXPERIMENT
from berrypick.experiments.real_agent.page import page
from fixtures.invented_sets import invented_sets

CLAIM = StudyClaim("x", "x", "design", "em", ("grpo", "hotpotqa"), ("sft_diverse", "hotpotqa"), "more", 0.02)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three invented sets below BERRYPICK_DATA."""
    monkeypatch.setenv("BERRYPICK_DATA", str(invented_sets(tmp_path)))
    task_of.cache_clear()
    return tmp_path


# ---- cells


def test_no_question_is_shared_by_sft_rl_and_the_held_out_set(data: Path) -> None:
    sizes = Sizes(held_out=4, rl_questions=6)
    for seed in range(3):
        parts = [training_task(seed, "sft", sizes).split("train"), training_task(seed, "rl", sizes).split("train")]
        parts.append(task_of("hotpotqa", 4).split("holdout"))
        ids = [{question.id for question in part} for part in parts]
        assert [len(part) for part in ids] == [6, 6, 4]
        assert len(set.union(*ids)) == 16
    first, second = (training_task(seed, "rl", sizes).split("train") for seed in (0, 1))
    assert {q.id for q in first} != {q.id for q in second}, "a replicate deals the questions anew"


@pytest.mark.slow
def test_a_smoke_run_computes_every_kind_of_cell_and_resumes(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    wanted = ("pilot/*", "seed-0/sft_diverse/*", "seed-0/grpo/hotpotqa", "seed-0/question/*")
    for pattern in wanted:
        report = run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=1, only=pattern)
    assert not report["cells"]["failed"]
    rows = {(row["agent"], row["setting"]): row for row in report["rows"]}
    assert rows["question", "hotpotqa-greedy"]["measures"]["evidence_recall"]["value"] == 0.5
    assert rows["sft_diverse", "hotpotqa-closed_book"]["measures"]["searches"]["value"] == 0
    agents = out / "work" / "agents"
    assert json.loads((agents / "seed-0" / "grpo" / "config.json").read_text())["rl"]["objective"] == "grpo"
    trained = (agents / "seed-0" / "grpo" / "metrics.jsonl").read_bytes()
    cells = sorted((out / "cells").rglob("*.json"))
    again = run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=1, only="seed-0/grpo/hotpotqa-greedy")
    assert (agents / "seed-0" / "grpo" / "metrics.jsonl").read_bytes() == trained, "another cell does not train again"
    assert len(sorted((out / "cells").rglob("*.json"))) == len(cells) + 1
    text = page(again)
    assert "sft_diverse" in text and "not run" in text and "inconclusive" in text
    assert (out / "agent_cells.jsonl.xz").is_file()


def test_a_full_run_has_nine_rl_agents_of_60_steps(data: Path) -> None:
    cells = EXPERIMENT.cells("small", 3)
    assert len({cell.key for cell in cells}) == len(cells)
    rl = {
        (c.config["agent"], c.config["seed"]) for c in cells if c.config["agent"] in ("grpo", "pass_mix", "grpo_narrow")
    }
    assert len(rl) == 9
    assert {cell.config["sizes"]["rl_steps"] for cell in cells} == {60}
    settings = {cell.key.rsplit("/", 1)[1] for cell in cells if "/sft_diverse/" in cell.key}
    assert {"hotpotqa", "hotpotqa-greedy", "hotpotqa-t0.5", "hotpotqa-t0.7", "hotpotqa-empty"} <= settings
    known = {(c.config["agent"], c.key.rsplit("/", 1)[1]) for c in cells}
    asked = {side for claim in CLAIMS for side in (claim.arm, claim.control) if side}
    assert asked <= known, "every claim is about cells that exist"
    assert RULES["reward"] == "em", "pass_mix needs rewards of 0 and 1"


# ---- verdicts


def values_of(tables: Mapping[tuple[str, str, str], Mapping[int, list[float]]]):
    def values(agent: str, setting: str, measure: str):
        return {seed: np.array(row) for seed, row in tables.get((agent, setting, measure), {}).items()}

    return values


def differing_by(effect: float, noise: float = 0.0, seeds: int = 3):
    """EM of grpo above that of SFT by an effect that varies over questions, not over seeds."""
    start = [0.0, 1.0] * 50
    arm = [value + effect + noise * (-1) ** (at // 2) for at, value in enumerate(start)]
    return values_of(
        {
            ("grpo", "hotpotqa", "em"): dict.fromkeys(range(seeds), arm),
            ("sft_diverse", "hotpotqa", "em"): dict.fromkeys(range(seeds), start),
        }
    )


@pytest.mark.parametrize(
    ("expected", "effect", "noise", "verdict", "reason"),
    [
        ("more", 0.05, 0.0, "supported", ""),
        ("more", 0.015, 0.0, "contradicted", "some effect, smaller than asked"),
        ("more", -0.05, 0.0, "contradicted", "below the margin"),
        ("more", 0.05, 0.5, "inconclusive", "the interval holds both answers"),
        ("less", -0.05, 0.0, "supported", ""),
        ("less", -0.015, 0.0, "contradicted", "some effect, smaller than asked"),
        ("equal", 0.01, 0.0, "supported", ""),
        ("equal", -0.03, 0.0, "contradicted", "beyond the margin"),
        ("equal", 0.0, 0.5, "inconclusive", "the interval holds both answers"),
    ],
)
def test_verdicts_by_hand(expected: str, effect: float, noise: float, verdict: str, reason: str) -> None:
    claim = dataclasses.replace(CLAIM, expected=expected)  # type: ignore[arg-type]
    row = judge(claim, differing_by(effect, noise), lambda setting, measure: None)
    assert (row["verdict"], row["reason"]) == (verdict, reason)
    assert row["value"] == pytest.approx(effect)


def test_few_seeds_and_no_room_give_no_verdict() -> None:
    row = judge(CLAIM, differing_by(0.05, seeds=2), lambda setting, measure: None)
    assert (row["verdict"], row["reason"]) == ("inconclusive", "2 of 3 seeds")
    asks = dataclasses.replace(CLAIM, room=("hotpotqa-greedy", "hotpotqa"))
    assert judge(asks, differing_by(0.05), lambda setting, measure: None)["reason"] == "the pilot has not been run"
    small = {"hotpotqa-greedy": 0.25, "hotpotqa": 0.2}
    row = judge(asks, differing_by(0.05), lambda setting, measure: small[setting])
    assert row["verdict"] == "not decidable here" and "0.050" in row["reason"]
    large = {"hotpotqa-greedy": 0.27, "hotpotqa": 0.2}
    assert judge(asks, differing_by(0.05), lambda setting, measure: large[setting])["verdict"] == "supported"
    lone = dataclasses.replace(CLAIM, seeds=1)
    row = judge(lone, differing_by(0.05, seeds=1), lambda setting, measure: None)
    assert (row["verdict"], row["reason"]) == ("inconclusive", "one seed: the interval is over questions alone")


def test_the_match_at_equal_breadth_lies_between_two_temperatures() -> None:
    curve = {"hotpotqa-greedy": (0.30, 0.40), "hotpotqa-t0.5": (0.28, 0.50), "hotpotqa-t0.7": (0.24, 0.60),
             "hotpotqa": (0.20, 0.70)}  # fmt: skip
    tables = {("grpo", "hotpotqa", "em"): {0: [0.3, 0.3], 1: [0.3, 0.3]}}
    tables["grpo", "hotpotqa", "breadth"] = {0: [0.5, 0.6], 1: [0.8, 0.8]}
    for setting, (em, breadth) in curve.items():
        tables["sft_diverse", setting, "em"] = {0: [em, em], 1: [em, em]}
        tables["sft_diverse", setting, "breadth"] = {0: [breadth, breadth], 1: [breadth, breadth]}
    found = matched(dataclasses.replace(CLAIM, control=()), values_of(tables))
    assert set(found) == {0}, "seed 1 is broader than SFT at any temperature, and nothing is extrapolated"
    assert found[0] == pytest.approx([0.04, 0.04])  # breadth .55 lies half-way between .28 and .24
