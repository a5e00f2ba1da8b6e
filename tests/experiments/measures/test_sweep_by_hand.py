"""A sweep by hand: ends of training, curves over seeds, which objective comes first, and which cells are paired."""

from __future__ import annotations

import pytest
from berrypick.envs.record import EpisodeRecord
from berrypick.experiments.measures.pooled import pool_seeds
from berrypick.experiments.measures.rollout import rollout_of
from berrypick.experiments.measures.sweep import TrainedCell, measure_sweep


def rows(*rewards):
    """Training rows, one RL step apart."""
    return [{"step": step, "reward": reward} for step, reward in enumerate(rewards, 1)]


def rollouts(*scores):
    """One rollout of each of two questions for every pair of scores."""
    return [
        rollout_of(
            EpisodeRecord.model_validate(
                {"question": {"id": f"q{n % 2}", "text": "?", "answers": ["x"]}, "group_id": f"q{n % 2}",
                 "sample_index": n // 2, "turns": [], "em": score, "policy_id": "p"}
            )
        )
        for n, score in enumerate(scores)
    ]  # fmt: skip


CELLS = {
    "darling-0": TrainedCell("darling", 0, rows(9, 1, 2, 3, 4, 5, 2, 4, 6, 8, 10)),
    "grpo-0": TrainedCell("grpo", 0, rows(0, 0, 0, 0, 1)),
    "grpo-1": TrainedCell("grpo", 1, rows(0, 0, 0, 1, 2)),
    "rloo-0": TrainedCell("rloo", 0, rows(1, 2)),
}


def test_the_end_of_training_is_the_mean_of_the_last_five_steps_of_each_seed():
    training = measure_sweep(CELLS, {}, {})["training"]
    assert training["darling"]["training_reward"] == {"mean": 6.0, "per_seed": [6.0]}
    assert training["grpo"]["training_reward"]["mean"] == pytest.approx(0.4)
    assert training["grpo"]["training_reward"]["per_seed"] == pytest.approx([0.2, 0.6])
    assert training["rloo"]["training_reward"]["per_seed"] == [1.5], "a shorter run is one window"


def test_curves_are_means_over_seeds_between_the_lowest_and_the_highest():
    curves = measure_sweep(CELLS, {}, {})["curves"]["training_reward"]
    (step, row), *others = curves["grpo"]
    assert (step, row["n"], others) == (5.0, 2, [])
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.4, 0.2, 0.6))
    # eleven steps: the windows of five end with the last step, and the first step is in none
    assert [(step, row["value"]) for step, row in curves["darling"]] == [(6.0, 3.0), (11.0, 6.0)]


def test_the_objective_without_a_diversity_term_comes_first_and_the_others_keep_their_order():
    assert list(measure_sweep(CELLS, {}, {})["training"]) == ["grpo", "darling", "rloo"]
    others = {name: cell for name, cell in CELLS.items() if cell.objective != "grpo"}
    assert list(measure_sweep(others, {}, {})["training"]) == ["darling", "rloo"]
    assert measure_sweep({}, {"a": "no memory"}, {}) == {
        "training": {}, "curves": {}, "alarms": {}, "failures": {"a": "no memory"}, "cells": None, "held_out": None,
        "left_out": [],
    }  # fmt: skip


def test_seeds_that_every_evaluated_objective_has_are_paired_and_other_cells_named():
    cells = {
        f"{name}-{seed}": TrainedCell(name, seed, rows(0, 0, 0, 0, 0))
        for name in ("darling", "grpo")
        for seed in range(3)
    }
    right, half = rollouts(1.0, 1.0), rollouts(1.0, 0.0)
    played = {"darling-0": right, "grpo-0": half, "darling-1": right, "grpo-1": right, "darling-2": half}
    report = measure_sweep(cells, {}, played)
    assert list(report["cells"]["arms"])[:2] == ["grpo-0", "grpo-1"]
    assert report["left_out"] == ["darling-2"]
    assert report["held_out"]["seeds"] == [0, 1]
    assert list(report["held_out"]["differences"]) == ["darling - grpo"]
    assert report["held_out"]["differences"]["darling - grpo"]["pass@1"]["value"] == pytest.approx(0.25)
    assert report["held_out"]["arms"]["grpo"]["pass@1"] == {"mean": 0.75, "per_seed": [0.5, 1.0]}
    one = measure_sweep(cells, {}, {"darling-0": right, "grpo-0": half})
    assert (one["held_out"], one["left_out"]) == (None, [])


def test_alarms_are_listed_for_each_cell():
    cells = {"a": TrainedCell("grpo", 0, [{"step": step, "search/failed": 1.0} for step in range(1, 21)])}
    (alarm,) = measure_sweep(cells, {}, {})["alarms"]["a"]
    assert alarm["name"] == "retrieval errors" and alarm["text"].startswith("retrieval errors, since step 10")


def test_curves_are_in_the_order_of_steps_and_rows_without_the_value_are_left_out():
    cells = {
        "a": TrainedCell("grpo", 0, rows(*range(10))),
        "b": TrainedCell("grpo", 1, [{"step": 0}, *rows(*range(8))]),
    }
    curve = measure_sweep(cells, {}, {})["curves"]["training_reward"]["grpo"]
    assert [(step, row["value"], row["n"]) for step, row in curve] == [(5.0, 2.0, 1), (8.0, 5.0, 1), (10.0, 7.0, 1)]
    assert measure_sweep({"c": TrainedCell("grpo", 0, [])}, {}, {})["curves"] == {}


def report_of(*values, **more):
    arms = {
        name: {"measures": {key: {"value": value} for key, value in row.items()}} for name, row in zip("ab", values)
    }
    return {"arms": arms, "differences": {}, **more}


def test_seeds_are_pooled_by_hand():
    reports = {
        3: report_of({"x": 1.0, "z": 0.5}, {"x": 2.0, "y": 9.0}, references={"r": {"x": 1.0}}),
        1: report_of({"z": 1.5, "x": 2.0}, {"x": 5.0}, references={"r": {"x": 2.0}, "s": {}}),
    }
    for seed, reward in ((3, 0.25), (1, 0.75)):
        reports[seed]["training_reward"] = {"a": reward}
    pooled = pool_seeds(reports, [("b", "a"), ("b", "c"), ("c", "a")])
    assert pooled["seeds"] == [1, 3]
    assert pooled["arms"]["a"] == {
        "training_reward": {"mean": 0.5, "per_seed": [0.75, 0.25]},
        "x": {"mean": 1.5, "per_seed": [2.0, 1.0]},
        "z": {"mean": 1.0, "per_seed": [1.5, 0.5]},
    }
    assert list(pooled["arms"]["a"]) == ["training_reward", "x", "z"] and list(pooled["arms"]["b"]) == ["x"]
    assert list(pooled["differences"]) == ["b - a"]
    difference = pooled["differences"]["b - a"]["x"]  # 3 and 1: mean 2, error 1
    assert (difference["value"], difference["n"]) == (2.0, 2)
    assert difference["high"] - 2 == pytest.approx(12.706205, rel=1e-6)
    assert pooled["references"] == {"r": {"x": 1.5}}
    alone = pool_seeds({7: reports[3]}, [("b", "a")])
    assert (alone["seeds"], alone["differences"], alone["references"]) == ([7], {}, {"r": {"x": 1.0}})
    assert pool_seeds({0: report_of({"x": 1.0}, {}), 1: reports[1]}, [])["references"] == {}


def test_pooled_measures_are_in_the_order_of_their_keys():
    row = dict.fromkeys("fbdace", 1.0)
    pooled = pool_seeds({seed: report_of(row, row) for seed in (0, 1)}, [("a", "b")])
    assert list(pooled["differences"]["a - b"]) == list(pooled["arms"]["a"]) == list("abcdef")
