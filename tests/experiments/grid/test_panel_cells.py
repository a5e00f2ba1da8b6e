"""Panels: shares of variance by hand, pairs against a list of all pairs, and a whole small panel."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from berrypick.experiments.grid.arms import ARMS
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.panel_cells import PANEL_MEASURES, panel_shares, panel_values, run_panel_cell
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.grid.table_training import train_arm, training_world
from berrypick.policies.tabular.kinds import kind_probabilities
from berrypick.policies.tabular.outcomes import list_episodes
from berrypick.policies.tabular.similarity import Encoded, encode
from berrypick.policies.tabular.training import TableConfig, imitate

KEYS = list(product(range(3), range(2), range(2)))


def test_each_factor_alone_has_all_of_the_variance():
    for axis, name in enumerate(("demonstrator", "world", "method")):
        found = panel_shares({key: np.array([float(key[axis]), 1.0]) for key in KEYS})
        assert found == pytest.approx({"demonstrator": 0, "world": 0, "method": 0, "mixed": 0} | {name: 1})
    # a start that is no matter of the demonstrator alone goes with the world; with the method it is mixed
    found = panel_shares({(d, w, m): np.array([(d - 1.0) * (w - 0.5)]) for d, w, m in KEYS})
    assert found["world"] == pytest.approx(1)
    found = panel_shares({(d, w, m): np.array([(d - 1.0) * (m - 0.5)]) for d, w, m in KEYS})
    assert found["mixed"] == pytest.approx(1)


def test_shares_add_up_and_equal_policies_have_none():
    generator = np.random.default_rng(0)
    found = panel_shares({key: generator.normal(size=4) for key in KEYS})
    assert sum(found.values()) == pytest.approx(1) and min(found.values()) >= 0
    assert all(np.isnan(value) for value in panel_shares(dict.fromkeys(KEYS, np.ones(2))).values())


def test_pairs_by_hand():
    # one question of two episodes without a word in common; a policy is its chance p of the first
    encoded = Encoded(np.eye(2)[None], np.array([1.0, 0.0]), np.ones(1))
    p = {key: 0.1 + 0.07 * at for at, key in enumerate(KEYS)}
    found = panel_values(encoded, encoded, {k: np.array([[v, 1 - v]]) for k, v in p.items()}, np.array([[0.5, 0.5]]))
    assert set(found) == set(PANEL_MEASURES)

    def mean(holds):
        pairs = [(a, b) for a in KEYS for b in KEYS if holds(a, b)]
        return np.mean([p[a] * p[b] + (1 - p[a]) * (1 - p[b]) for a, b in pairs])

    assert found["self"] == pytest.approx(mean(lambda a, b: a == b))
    assert found["same_start"] == pytest.approx(mean(lambda a, b: a[:2] == b[:2] and a[2] != b[2]))
    apart = mean(lambda a, b: a[0] != b[0] and a[1] != b[1] and a[2] != b[2])
    assert found["apart"] == pytest.approx(apart)
    assert found["method_apart"] == pytest.approx(mean(lambda a, b: a[0] != b[0] and a[1] != b[1] and a[2] == b[2]))
    start = [(a, b) for a in KEYS for b in KEYS if a[:2] == b[:2] and a[2] != b[2]]
    assert found["mismatched"] == pytest.approx(np.mean([p[a] * p[b] for a, b in start]))
    assert found["even"] == pytest.approx(0.5)
    assert found["lost"] == pytest.approx((found["same_start"] - apart) / (found["same_start"] - found["mismatched"]))
    assert found["world_cost"] == pytest.approx(found["same_start"] - found["same_demonstrator"])


def test_a_panel_trains_every_method_from_every_start():
    table = TableConfig(sft_steps=5, steps=4, checkpoints=(0, 4), learning_rate=3.0)
    cell = TableCell("priced/shares-60-30-10", "panel", 0.0, 7, 1007, 32, False, table)
    found = run_panel_cell(cell, {name: ARMS[name] for name in ("grpo", "more_sft")})["checkpoints"]
    assert set(found["4"]) == {*PANEL_MEASURES, "pass@1", "pass@8"}
    # before training the methods of a start are one policy
    assert found["0"]["same_start"] == pytest.approx(found["0"]["self"])
    assert found["0"]["variance_method"] == pytest.approx(0, abs=1e-9)
    assert found["4"]["same_start"] < found["4"]["self"]
    # records of two questions differ, and words of two questions are less alike than words of one
    assert found["4"]["mismatched"] == 0 < found["4"]["mismatched_words"] < found["4"]["apart_words"]
    assert found == run_panel_cell(cell, {name: ARMS[name] for name in ("grpo", "more_sft")})["checkpoints"]


def test_questions_count_as_often_as_they_are_asked():
    # two questions of two episodes; a policy is its chances of the first episode on either
    encoded = Encoded(np.tile(np.eye(2), (2, 1, 1)), np.array([0.0, 1.0]), np.array([0.9, 0.1]))
    generator = np.random.default_rng(1)
    p = {key: generator.uniform(size=2) for key in KEYS}
    chances = {key: np.stack([values, 1 - values], 1) for key, values in p.items()}
    found = panel_values(encoded, encoded, chances, np.full((2, 2), 0.5))
    # the two places of a question say the same, so that their variance is that of p
    for axis, name in ((0, "demonstrator"), (2, "method")):
        parts = np.zeros(2)
        for question, weight in enumerate((0.9, 0.1)):
            values = np.array([p[key][question] for key in KEYS])
            levels = [np.mean([p[key][question] for key in KEYS if key[axis] == one[axis]]) for one in KEYS]
            parts += weight * np.array([np.var(levels), np.var(values)])
        assert found[f"variance_{name}"] == pytest.approx(parts[0] / parts[1])
    # of two questions: the second word alone is shared
    start = [(a, b) for a in KEYS for b in KEYS if a[:2] == b[:2] and a[2] != b[2]]
    blind = {key: 1 - values @ [0.9, 0.1] for key, values in p.items()}
    assert found["mismatched"] == pytest.approx(np.mean([blind[a] * blind[b] for a, b in start]))


def test_a_panel_is_made_of_three_demonstrators_two_worlds_and_their_draws():
    table = TableConfig(sft_steps=5, steps=4, checkpoints=(0, 4), learning_rate=3.0)
    cell = TableCell("priced/shares-60-30-10", "panel", 0.0, 7, 1007, 32, False, table)
    config = Condition.of("priced/diverse").world_config(1007, 32)
    shapes = (0.6, 0.3, 0.1), (0.1, 0.6, 0.3), (0.3, 0.1, 0.6)
    chances, population = {}, training_world(config)
    patterns = np.array(list(product((False, True), repeat=6))).reshape(-1, 2, 3)
    everything = replace(population, present=patterns, table=np.zeros(64, np.int64))
    episodes = list_episodes(everything)
    for turn, (at, more) in product(range(3), enumerate((0, 10_000))):
        world = training_world(replace(config, seed=1007 + more))
        start = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
        imitate(start, world, None, table, first_step=0, num_steps=5, seed=7 + more, shares=shapes[turn])
        begun = start.detach().numpy().copy()
        imitate(start, world, None, table, first_step=5, num_steps=4, seed=7 + more, shares=shapes[turn])
        learnt = train_arm(world, ARMS["grpo"], 0.0, begun, table, seed=7 + more, demos="")[4]
        for method, logits in enumerate((learnt, start.detach().numpy())):
            chances[turn, at, method] = episodes.outcomes(kind_probabilities(logits)).chances
    stated = np.where(patterns, (0.6, 0.5, 0.4), 1 - np.array((0.6, 0.5, 0.4))).prod((1, 2))
    encoded = encode(everything, stated, episodes)
    even = episodes.outcomes(kind_probabilities(np.zeros(population.table_shape))).chances
    expected = panel_values(encoded["records"], encoded["words"], chances, even)
    found = run_panel_cell(cell, {name: ARMS[name] for name in ("grpo", "more_sft")})["checkpoints"]["4"]
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-8)
