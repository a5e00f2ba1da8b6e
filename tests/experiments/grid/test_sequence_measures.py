"""Distinct query sequences, questions gained and lost, and slopes: by hand, as identities, and from histories."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.world.config import WorldConfig
from berrypick.experiments.grid.sequence_measures import SequenceMeasures, decay
from berrypick.policies.tabular.histories import State, StateTable, history_sequences
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities
from berrypick.policies.tabular.values import RowTable, exact_values

PAIRS = SequenceMeasures(episodes=2, fewer=1)


def shape_of(config):
    return len(config.cues), config.hops, 2 ** len(config.kinds), config.budget + 1, len(config.kinds)


def drawing(config, *shares):
    return np.broadcast_to(np.log(shares), shape_of(config))


def measures_of(sizes, config, start):
    rows = RowTable.population(config)
    world = KindWorld(rows.present, rows.table, config.budget, len(config.cues), config.kinds, ())
    return sizes(rows, world, start)


def test_one_query_by_hand():
    config = WorldConfig(availability=(0.5, 0.5), hops=1, budget=1)
    found = measures_of(PAIRS, config, drawing(config, 0.5, 0.5)).values(drawing(config, 0.7, 0.3))
    first, second = 1 - 0.3**2, 1 - 0.7**2  # either kind is queried by one of two episodes
    assert found["queries@2"] == pytest.approx(first + second)
    assert found["queries@1"] == pytest.approx(1)
    for name in ("right@2", "wrong@2", "signatures@2"):  # each record exists for half of the questions
        assert found[name] == pytest.approx((first + second) / 2)
    # both records, the first alone, the second alone, none
    assert found["pass@2"] == pytest.approx((1 + first + second + 0) / 4)
    assert found["gained@2"] == pytest.approx((first * 0.25 + second * 0.25) / 4)
    assert found["lost@2"] == pytest.approx((0.75 * (1 - first) + 0.75 * (1 - second)) / 4)
    assert found["new@2"] == pytest.approx(0.25)  # the base has either sequence with probability 3/4
    assert (found["pass@(1,0)"], found["pass@(2,0)"]) == (0, 0)
    assert (found["pass@(1,1)"], found["pass@(2,1)"]) == (pytest.approx(0.5), found["pass@2"])


def test_misses_make_sequences_and_no_signatures():
    """Only the first of two kinds is ever written down: at both hops it must be found, with one miss at most."""
    config = WorldConfig(availability=(1.0, 0.0), hops=2, budget=3)
    even = drawing(config, 1, 1)
    measures = measures_of(PAIRS, config, even)
    found = measures.values(even)
    # 00, 010 and 100 are right, 101 is wrong; 1/4 each
    met = 1 - 0.75**2
    assert found["queries@2"] == pytest.approx(4 * met)
    assert (found["right@2"], found["wrong@2"]) == (pytest.approx(3 * met), pytest.approx(met))
    assert found["signatures@2"] == pytest.approx(1 - 0.25**2)
    assert [found[f"pass@(1,{within})"] for within in range(4)] == pytest.approx([0, 0, 0.25, 0.75])
    assert found["pass@(2,3)"] == pytest.approx(found["pass@2"]) == pytest.approx(1 - 0.25**2)
    assert found["gained@2"] == found["lost@2"] == pytest.approx((1 - 0.25**2) * 0.25**2)
    # the first kind is queried at the first hop always, at the second by three of four; the other by every second
    assert {name: found[name] for name in ("decay_slope", "decay_r2", "decay_ranks")} == pytest.approx(
        decay([1, 0.5, 0.75, 0.5])
    )
    bounds = measures.bounds()
    assert bounds["queries@2"] == (1, pytest.approx(4 * met)) and bounds["right@2"][1] == pytest.approx(3 * 5 / 9)
    assert bounds["signatures@2"] == (0, pytest.approx(1)) and bounds["pass@2"] == (0, pytest.approx(1))


def test_decay_by_hand():
    assert decay([1, 100, 0, 10]) == pytest.approx({"decay_slope": 1, "decay_r2": 1, "decay_ranks": 3})
    logs = [0, math.log10(0.75), math.log10(0.5), math.log10(0.5)]
    slope = -sum(at * log for at, log in zip((-1.5, -0.5, 0.5, 1.5), logs)) / 5
    total = sum((log - sum(logs) / 4) ** 2 for log in logs)
    found = decay([1, 0.5, 0.75, 0.5])
    assert (found["decay_slope"], found["decay_r2"]) == pytest.approx((slope, 5 * slope**2 / total))
    few = decay([1, 0.5, 0])
    assert math.isnan(few["decay_slope"]) and few["decay_ranks"] == 2
    assert decay([2, 2, 2])["decay_slope"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("availability", "budget", "cue"), [((0.6, 0.4, 0.2), 2, 0.0), ((0.6, 0.4, 0.2), 4, 0.0), ((0.5,) * 3, 3, 0.8)]
)
def test_identities_for_policies_at_random(availability, budget, cue):
    config = WorldConfig(availability=availability, budget=budget, cue=cue)
    draws = np.random.default_rng(budget)
    base, policy = (draws.normal(size=shape_of(config), scale=1.5) for _ in range(2))
    measures = measures_of(SequenceMeasures(), config, base)
    found, before = measures.values(policy), measures.values(base)
    values, _ = exact_values(RowTable.population(config), kind_probabilities(policy), budget, (1, 64))
    assert found["pass@64"] == pytest.approx(values["pass@64"])
    assert found[f"pass@(1,{budget})"] == pytest.approx(values["pass@1"])
    assert found[f"pass@(64,{budget})"] == pytest.approx(values["pass@64"])
    assert found["gained@64"] - found["lost@64"] == pytest.approx(found["pass@64"] - before["pass@64"])
    assert before["gained@64"] == pytest.approx(before["lost@64"])
    assert found["right@64"] + found["wrong@64"] == pytest.approx(found["queries@64"])
    assert found["signatures@64"] <= found["right@64"] + 1e-9
    assert found["decay_ranks"] == 6
    for name, (low, high) in measures.bounds().items():
        assert low - 1e-9 <= found[name] <= high + 1e-9, name


@pytest.mark.parametrize(("budget", "cue"), [(2, 0.0), (4, 0.0), (3, 0.8)])
def test_histories_count_the_sequences_of_a_table_policy(budget, cue):
    config = WorldConfig(availability=(0.6, 0.4, 0.2), budget=budget, cue=cue)
    logits = np.random.default_rng(3).normal(size=shape_of(config))
    chances = kind_probabilities(logits)

    def at(state):
        tried = sum(1 << kind for kind in state.tried)
        return chances[state.cue or 0, state.hop, tried, budget - len(state.history)]

    waiting, known = [State(cue) for cue in config.cues], {}
    while waiting:
        state = waiting.pop()
        if state.hop < 2 and len(state.history) < budget and len(state.tried) < 3:
            known[state] = at(state)
            waiting += [state.after(kind, hit=hit) for kind in {0, 1, 2} - set(state.tried) for hit in (False, True)]
    found = history_sequences(StateTable(3, known, dict.fromkeys(known, 1)), config, 64)
    expected = measures_of(SequenceMeasures(), config, logits).values(logits)
    assert found == pytest.approx({name: expected[name] for name in ("queries@64", "right@64", "wrong@64")})
