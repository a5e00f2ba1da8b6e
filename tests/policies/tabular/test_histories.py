"""Values in the population of policies that remember the episode, against tables, hand computation and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from berrypick import BerrypickError
from berrypick.envs.world.config import WorldConfig
from berrypick.policies.tabular.histories import State, StateTable, history_values
from berrypick.policies.tabular.kinds import kind_probabilities
from berrypick.policies.tabular.values import RowTable, exact_values


def states(num_kinds, hops, budget, cue=None):
    """Every state at which a kind is chosen."""
    waiting = [State(cue)]
    while waiting:
        state = waiting.pop()
        if state.hop == hops or len(state.history) == budget or len(state.tried) == num_kinds:
            continue
        yield state
        for kind in set(range(num_kinds)) - set(state.tried):
            waiting += [state.after(kind, hit=hit) for hit in (False, True)]


def table_of(num_kinds, rule, hops, budget, cues=(None,)):
    """A state table from a function of the state."""
    every = [state for cue in cues for state in states(num_kinds, hops, budget, cue)]
    return StateTable(num_kinds, {state: np.array(rule(state)) for state in every}, dict.fromkeys(every, 1))


def population_rows(config, cues):
    """All patterns of each cue as rows, written out by hand."""
    present, table, weights = [], [], []
    for at, cue in enumerate(cues):
        a = np.array(config.question_availability(cue))
        for bits in itertools.product((False, True), repeat=config.hops * len(a)):
            pattern = np.array(bits).reshape(config.hops, -1)
            present.append(pattern)
            table.append(at)
            weights.append(np.where(pattern, a, 1 - a).prod() / len(cues))
    return RowTable(np.array(present), np.array(table), np.array(weights), np.zeros(0, np.int64))


@pytest.mark.parametrize(("preset", "cue"), [("priced", 0.0), ("steep", 0.8), ("slack", 0.0)])
def test_a_table_policy_has_the_values_of_the_same_policy_written_as_histories(preset, cue):
    config = WorldConfig.from_preset(preset, cue=cue)
    cues = (0, 1, 2) if cue else (None,)
    shape = (len(cues), config.hops, 2**3, config.budget + 1, 3)
    chances = kind_probabilities(np.random.default_rng(0).normal(size=shape))

    def rule(state):
        tried = sum(1 << kind for kind in state.tried)
        return chances[state.cue or 0, state.hop, tried, config.budget - len(state.history)]

    table = table_of(3, rule, config.hops, config.budget, cues)
    found = history_values(table, config)
    expected, _ = exact_values(population_rows(config, cues), chances, config.budget)
    assert found.pop("forgotten") == found.pop("uniform") == 0
    assert found == {name: pytest.approx(value, abs=1e-12) for name, value in expected.items()}


@pytest.mark.parametrize(("a", "d", "k"), [((0.5, 0.5), 0.5, 2), ((0.7, 0.2), 0.3, 4)])
def test_one_hop_two_kinds_one_query_is_the_closed_form(a, d, k):
    table = StateTable(2, {State(): np.array([d, 1 - d])}, {State(): 1})
    found = history_values(table, WorldConfig(availability=a, hops=1, budget=1), ks=(1, k))
    assert found["pass@1"] == pytest.approx(d * a[0] + (1 - d) * a[1])
    many = a[0] * a[1] + a[0] * (1 - a[1]) * (1 - (1 - d) ** k) + a[1] * (1 - a[0]) * (1 - d**k)
    assert found[f"pass@{k}"] == pytest.approx(many)
    if d == 0.5:
        assert found["pass@2"] == pytest.approx(0.625)


def reuse(state):
    """Asks first for the kind that has just hit, with probability .9; otherwise uniform over untried kinds."""
    open_kinds = np.array([float(kind not in state.tried) for kind in range(3)])
    if state.history and state.history[-1][1]:
        favoured = np.eye(3)[state.history[-1][0]]
        return 0.9 * favoured + 0.1 * open_kinds / open_kinds.sum()
    return open_kinds / open_kinds.sum()


def simulate_exactly(availability, budget, k):
    """pass@1 and pass@k of `reuse` on two hops, by recursion over single episodes of each pattern."""

    def success(pattern, hop, tried, last_hit, left):
        if hop == 2:
            return 1.0
        if left == 0 or len(tried) == 3:
            return 0.0
        total = 0.0
        untried = [kind for kind in range(3) if kind not in tried]
        for kind in untried:
            chance = 1 / len(untried)
            if last_hit is not None:
                chance = 0.9 * (kind == last_hit) + 0.1 / 3
            if pattern[hop][kind]:
                total += chance * success(pattern, hop + 1, (), kind, left - 1)
            else:
                total += chance * success(pattern, hop, (*tried, kind), None, left - 1)
        return total

    one = many = 0.0
    for first in itertools.product((0, 1), repeat=3):
        for second in itertools.product((0, 1), repeat=3):
            weight = 1.0
            for here in (first, second):
                for bit, a in zip(here, availability):
                    weight *= a if bit else 1 - a
            p = success((first, second), 0, (), None, budget)
            one += weight * p
            many += weight * (1 - (1 - p) ** k)
    return one, many


def test_a_policy_that_reuses_the_kind_that_hit_is_valued_with_its_memory():
    config = WorldConfig.from_preset("priced")
    table = table_of(3, reuse, 2, 3)
    found = history_values(table, config)
    one, many = simulate_exactly(config.availability, 3, 8)
    assert (found["pass@1"], found["pass@8"]) == (pytest.approx(one, abs=1e-12), pytest.approx(many, abs=1e-12))
    # With its hops made independent, it would seem more diverse than it is.
    independent = {state: np.full(3, 1 / 3) for state in table.probabilities if state.hop == 1 and not state.tried}
    blind = StateTable(3, {**table.probabilities, **independent}, table.visits)
    assert history_values(blind, config)["pass@8"] > found["pass@8"] + 0.01


def test_unseen_states_fall_back_to_forgotten_hops_then_to_uniform_and_their_share_is_said():
    root, hit0, hit1 = State(), State().after(0, hit=True), State().after(1, hit=True)
    table = StateTable(2, {root: np.array([0.5, 0.5]), hit0: np.array([0.8, 0.2])}, {root: 10, hit0: 3})
    assert table.chances(hit1)[0] == pytest.approx([0.8, 0.2])
    assert table.chances(root.after(0, hit=False))[0] == pytest.approx([0, 1])
    found = history_values(table, WorldConfig(availability=(0.5, 0.5), hops=2, budget=2))
    # One query at the root, then one after a hit of kind 0 (1/4, seen), of kind 1 (1/4), or after a miss (1/2).
    assert found["searches"] == pytest.approx(2)
    assert (found["forgotten"], found["uniform"]) == (pytest.approx(0.25 / 2), pytest.approx(0.5 / 2))


def test_states_are_named_and_read_back():
    state = State(2).after(0, hit=False).after(1, hit=True).after(2, hit=False)
    assert state.name == "2:0-1+2-"
    assert (state.hop, state.tried) == (1, (2,))
    assert State.of(state.name) == state
    assert State.of(":") == State()
    with pytest.raises(BerrypickError, match="names no state"):
        State.of("0-1+")


def test_a_table_of_another_number_of_kinds_is_refused():
    with pytest.raises(BerrypickError, match="2 kinds"):
        history_values(StateTable(2, {}, {}), WorldConfig(availability=(0.5,) * 3, hops=1, budget=1))
