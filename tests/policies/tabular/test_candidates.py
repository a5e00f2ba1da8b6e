"""Episodes that end in several candidates: played, as reward vectors, and their exact values against two others."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from berrypick import BerrypickError
from berrypick.envs.world.config import WorldConfig
from berrypick.envs.world.world import build_world
from berrypick.policies.objectives import get_objective
from berrypick.policies.tabular.candidates import CANDIDATE_MEASURES, candidate_bounds, candidate_values
from berrypick.policies.tabular.groups import groups_of_table
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities, play
from berrypick.policies.tabular.losses import objective_loss
from berrypick.policies.tabular.training import Batch, TableConfig, train_table
from hypothesis import given, settings
from hypothesis import strategies as st

NO_QUESTIONS = {"num_train": 0, "num_validation": 0, "num_test": 0}


def world_of(availability, hops=1, **changes):
    kinds = len(availability)
    knobs = {"hops": hops, "budget": kinds * (hops - 1) + 3, "num_answers": kinds, **NO_QUESTIONS, **changes}
    return WorldConfig(preset="test", availability=tuple(availability), **knobs)


def shape_of(config):
    kinds = len(config.availability)
    return 1, config.hops, 2**kinds, config.budget + 1, kinds


def always(config, *order):
    """Logits of a policy that names these kinds at the last hop, one after the other."""
    logits = np.zeros(shape_of(config))
    tried = 0
    for place, kind in enumerate(order):
        logits[0, -1, tried, len(order) - place, kind] = 200.0
        tried |= 1 << kind
    return logits


def test_single_candidates_by_hand():
    # two kinds, one hop: the first is named with .6; a right answer is worth H_1 / 2 = .5, two of them H_2 / 2 = .75
    config = world_of((0.8, 0.5))
    chances = kind_probabilities(np.broadcast_to(np.log([0.6, 0.4]), shape_of(config)), repeats=True)
    found = candidate_values(config, chances, 1)
    assert found["right@1"] == pytest.approx(0.6 * 0.8 + 0.4 * 0.5)
    assert found["best@1"] == pytest.approx(0.5 * found["right@1"])
    both = 0.8 * 0.5 * 0.75 + (0.8 * 0.5 + 0.2 * 0.5) * 0.5
    assert found["best@3"] == pytest.approx(0.216 * 0.8 * 0.5 + 0.064 * 0.5 * 0.5 + 0.72 * both)
    assert found["right@3"] == pytest.approx(0.216 * 0.8 + 0.064 * 0.5 + 0.72 * 0.9)
    assert found["answers@3"] == pytest.approx(0.216 * 0.8 + 0.064 * 0.5 + 0.72 * 1.3)
    assert found["l1@30"] == pytest.approx(2 * 0.6 * 0.4 * 1.3)
    assert (found["searches"], found["repeated"]) == (1, 0)
    assert found["gain_3_6"] == pytest.approx(found["best@6"] - found["best@3"])
    assert found["best@40_queries"] == pytest.approx(both - 0.6**40 * (both - 0.4) - 0.4**40 * (both - 0.25))
    assert set(found) == set(CANDIDATE_MEASURES)


def test_a_set_that_is_always_the_same_by_hand():
    # the first, the second, the first again: 20 and 10 of 30 candidates, so 200 pairs of two kinds, among 435
    config = world_of((0.8, 0.5))
    found = candidate_values(config, kind_probabilities(always(config, 0, 1, 0), repeats=True), 3)
    assert found["right@1"] == pytest.approx(0.8) and found["repeated"] == pytest.approx(1 / 3)
    assert found["best@3"] == pytest.approx(found["best@30"]) == pytest.approx(0.55)
    assert found["l1@30"] == pytest.approx(200 * (0.8 + 0.5) / 435)
    assert found["searches"] == 3


def test_six_answers_are_worth_what_the_header_of_the_experiment_says():
    config = world_of((1.0,) * 6, hops=2)
    collapsed = candidate_values(config, kind_probabilities(always(config, 2, 2, 2), repeats=True), 3)
    assert collapsed["best@30"] == pytest.approx(1 / 6) and collapsed["l1@30"] == pytest.approx(0, abs=1e-12)
    assert candidate_bounds(config)["best@30"] == pytest.approx((1 / 6, sum(1 / i for i in range(1, 7)) / 6))
    assert collapsed["searches"] == pytest.approx(4)


def ends_of(config, chances, candidates, present):
    """(kinds named at the last hop, queries) -> chance, on a question with these records."""
    ends = {}

    def go(hop, tried, left, named, chance, queries):
        last = hop == config.hops - 1
        if len(named) == candidates or (not last and tried == 2 ** present.shape[1] - 1):
            ends[named, queries] = ends.get((named, queries), 0.0) + chance
            return
        for kind, there in enumerate(present[hop]):
            here = chance * chances[0, hop, tried, candidates - len(named) if last else left, kind]
            if last and here:
                go(hop, tried | 1 << kind, left - 1, (*named, kind), here, queries + 1)
            elif here and there:
                go(hop + 1, 0, left - 1, (), here, queries + 1)
            elif here:
                go(hop, tried | 1 << kind, left - 1, (), here, queries + 1)

    go(0, 0, config.budget, (), 1.0, 0)
    return ends


def by_hand(config, chances, candidates):
    """The same values by walking availability patterns and ways through them, for groups of up to two episodes."""
    kinds = len(config.availability)
    worth = [sum(1 / i for i in range(1, n + 1)) / kinds for n in range(kinds + 1)]
    out = {"best": np.zeros(2), "right@3": 0.0, "searches": 0.0}
    for pattern in product((False, True), repeat=config.hops * kinds):
        present = np.reshape(pattern, (config.hops, -1))
        weight = np.prod([a if there else 1 - a for a, there in zip(config.availability * config.hops, pattern)])
        ends, found = ends_of(config, chances, candidates, present), {}
        assert sum(ends.values()) == pytest.approx(1)
        for (named, queries), chance in ends.items():
            answers = frozenset(kind for kind in named if present[-1, kind])
            found[answers] = found.get(answers, 0.0) + chance
            out["searches"] += weight * chance * queries
        out["best"][0] += weight * sum(chance * worth[len(one)] for one, chance in found.items())
        out["best"][1] += weight * sum(
            p * q * worth[len(one | other)] for (one, p), (other, q) in product(found.items(), repeat=2)
        )
        out["right@3"] += weight * sum(chance for one, chance in found.items() if one)
    return out


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(0.05, 1), min_size=2, max_size=3), st.integers(1, 2), st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_values_agree_with_a_walk_through_all_patterns_and_keep_their_bounds(availability, hops, candidates, seed):
    config = world_of(availability, hops)
    logits = np.random.default_rng(seed).normal(scale=2, size=shape_of(config))
    chances = kind_probabilities(logits, repeats=True)
    found, walked = candidate_values(config, chances, candidates), by_hand(config, chances, candidates)
    if candidates == 3:
        assert [found["best@3"], found["best@6"]] == pytest.approx(walked["best"])
        assert found["right@3"] == pytest.approx(walked["right@3"])
    else:
        assert found["best@1"] == pytest.approx(walked["best"][0])
    assert found["searches"] == pytest.approx(walked["searches"])
    for name, (low, high) in candidate_bounds(config).items():
        assert low - 1e-9 <= found[name] <= high + 1e-9, name
    assert all(found[f"gain_{few}_{many}"] >= -1e-12 for few, many in ((3, 6), (6, 12), (12, 30)))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_at_a_start_in_shares_a_set_of_three_is_three_draws(shares):
    config = world_of((0.9, 0.6, 0.3), hops=2)
    chances = kind_probabilities(np.broadcast_to(shares, shape_of(config)), repeats=True)
    single, sets = (candidate_values(config, chances, size) for size in (1, 3))
    same = [name for name in single if name not in ("repeated", "searches", "best@40_queries")]
    assert {name: single[name] for name in same} == pytest.approx({name: sets[name] for name in same})
    assert sets["searches"] == pytest.approx(single["searches"] + 2 * (1 - 0.1 * 0.4 * 0.7))


@pytest.mark.parametrize(
    ("changes", "candidates", "message"),
    [
        ({"cue": 0.5}, 3, "a cue"), ({"num_answers": 2}, 3, "2 answers and 3 kinds"),
        ({"budget": 5}, 3, "may bind below 6"), ({"budget": 9}, 4, "4 candidates an episode"),
    ],
)  # fmt: skip
def test_worlds_without_exact_values_are_one_line(changes, candidates, message):
    config = world_of((0.9, 0.6, 0.3), hops=2, **changes)
    with pytest.raises(BerrypickError, match=message):
        candidate_values(config, kind_probabilities(np.zeros(shape_of(config)), repeats=True), candidates)


# Played


def questions_of(config, number):
    config = replace(config, num_train=number)
    return KindWorld.of(build_world(config).questions("train"))


def test_played_episodes_end_with_their_candidates_and_repeat_kinds_at_the_last_hop_alone():
    config = world_of((0.7, 0.5, 0.6), hops=2)
    world = replace(questions_of(config, 40), candidates=3)
    asked = np.repeat(np.arange(40), 25)
    chances = kind_probabilities(np.zeros(world.table_shape), repeats=True)
    played = play(world, chances, asked, np.random.default_rng(0).random((1000, world.budget)))
    repeats = 0
    for row in range(1000):
        hop, tried, named = 0, [], []
        for turn in range(world.budget):
            if len(named) == 3 or (hop == 0 and len(tried) == 3):
                assert not played.live[row, turn]
                continue
            assert played.live[row, turn] and played.hops[row, turn] == hop
            kind, hit = int(played.kinds[row, turn]), world.present[asked[row], hop, played.kinds[row, turn]]
            assert played.hit[row, turn] == hit
            left = 3 - len(named) if hop else world.budget - turn
            state = (0, hop, sum(1 << k for k in set(named if hop else tried)), left)
            assert played.states[row, turn] == np.ravel_multi_index(state, world.table_shape[:-1])
            if hop:
                named.append(kind)
            else:
                assert kind not in tried
                hop, tried = (1, []) if hit else (0, [*tried, kind])
        repeats += len(named) - len(set(named))
        right = [kind for kind in range(3) if kind in named and world.present[asked[row], 1, kind]]
        assert np.flatnonzero(played.answers[row]).tolist() == right and played.success[row] == bool(right)
    assert repeats > 500  # of three uniform draws from three kinds, 8 / 9 repeat


def test_values_agree_with_rollouts_in_a_world():
    config = world_of((0.9, 0.5, 0.7), hops=2, seed=3)
    world = replace(questions_of(config, 600), candidates=3)
    logits = np.random.default_rng(4).normal(size=world.table_shape)
    chances = kind_probabilities(logits, repeats=True)
    found = candidate_values(config, chances, 3)
    asked = np.repeat(np.arange(600), 10)
    played = play(world, chances, asked, np.random.default_rng(5).random((6000, world.budget)))
    worth = np.array([0, 1, 1.5, 11 / 6]) / 3
    for episodes, name in ((1, "best@3"), (2, "best@6"), (10, "best@30")):
        union = played.answers.reshape(600, 10, 3)[:, :episodes].any(1).sum(1)
        assert abs(worth[union].mean() - found[name]) < 4 * worth[union].std() / np.sqrt(600), name
    queries = played.live.sum(1)
    assert abs(queries.mean() - found["searches"]) < 4 * queries.std() / np.sqrt(600)
    vectors = groups_of_table(batch_of(world, played, 10)).vectors.reshape(600, 30, 3).numpy()
    apart = np.abs(vectors[:, :, None] - vectors[:, None]).sum((1, 2, 3)) / (30 * 29)
    assert abs(apart.mean() - found["l1@30"]) < 4 * apart.std() / np.sqrt(600)


def batch_of(world, played, size):
    rewards = torch.from_numpy(played.success.reshape(-1, size).astype(float))
    nothing = torch.zeros(0)
    return Batch(world, np.arange(len(rewards)), played, rewards, nothing, nothing, nothing, nothing, 0)


def test_multi_rlvr_pays_for_repeats_and_vpo_does_not():
    config = world_of((1.0, 1.0, 0.0))
    world = replace(questions_of(config, 1), candidates=3)
    draws = {"the first, three times": (0.1,) * 3, "both": (0.1, 0.5, 0.1), "one": (0.1, 0.9, 0.9), "none": (0.9,) * 3}
    chances = np.full(world.table_shape, 1 / 3)
    played = play(world, chances, np.zeros(4, np.int64), np.array(list(draws.values())))
    g = groups_of_table(batch_of(world, played, 4))
    assert g.vectors[0, 1].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert g.vectors[0, 2].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert g.rewards.tolist() == [[1, 1, 1, 0]]
    assert get_objective("multi_rlvr").shape(g)[0].tolist() == pytest.approx([1, 1, 1 / 3, 0])
    vpo = get_objective("vpo:num_weights=20000").shape(g)[0].tolist()  # 1/3; E max of two of three weights; 1/3; 0
    assert vpo == pytest.approx([1 / 3, 1.5 / 3, 1 / 3, 0], abs=0.01)
    one = get_objective("vpo:num_weights=1").shape(g)[0]  # one random weighting of the group
    assert one[0] == one[2] and one[1] >= one[0] > 0 and one[3] == 0


def test_training_is_by_the_objective_at_the_states_of_candidates():
    config = world_of((1.0, 1.0, 1.0))
    world = replace(questions_of(config, 64), candidates=3)
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    run = TableConfig(steps=60, checkpoints=(60,), learning_rate=10.0)
    end = train_table(logits, world, objective_loss("vpo"), run, seed=0)[60]
    found = candidate_values(config, kind_probabilities(end, repeats=True), 3)
    assert found["best@3"] > 0.57 and found["repeated"] < 0.06  # 11 / 18 is the most; .464 and .296 at the start
    assert (end[0, 0, 0, :3] == 0).all() and (end[0, 0, :, 0] == 0).all()  # states that no episode has
