"""A choice of formats beside the choice of kinds: updates by hand, exact values by enumeration, and neutral drift."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.failing_formats import fails
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.policies.objectives.estimates import Grpo
from berrypick.policies.objectives.groups import Groups
from berrypick.policies.tabular.choices import choice_probabilities
from berrypick.policies.tabular.format_values import FormatPopulation, share_measures
from berrypick.policies.tabular.formats import (
    FormatLogits,
    FormatRun,
    FormatWorld,
    standardise,
    train_formats,
)
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities
from berrypick.policies.tabular.neutral_drift import neutral_drift
from berrypick.policies.tabular.row_table import RowTable
from berrypick.policies.tabular.training import TableConfig
from berrypick.policies.tabular.values import exact_values
from berrypick.retrieval_index.errors import BerrypickError
from hypothesis import given
from hypothesis import strategies as st

SHARES = (0.6, 0.25, 0.15)


def config_of(**knobs):
    return WorldConfig(
        **{"query_formats": (0, 0, *SHARES), "num_train": 64, "num_validation": 0, "num_test": 0, "seed": 3, **knobs}
    )


def format_world(**knobs):
    config = config_of(**knobs)
    return FormatWorld.of(config, build_world(config).questions("train"))


def one_kind(found):
    """One question of one hop, a kind that is always asked within a budget of 1, and formats that find it or not."""
    present = np.array([[[True, False]]])
    world = KindWorld(present, np.zeros(1, np.int64), 1, 1, ("a", "b"), (("fact",),))
    return FormatWorld(world, np.array([present & hit for hit in found]), np.array([0.5, 0.5]))


ALWAYS_FIRST = np.zeros((1, 1, 4, 2, 2)) + np.array([40.0, -40.0])


# Training


def test_questions_are_read_with_the_failures_of_the_world_itself():
    config = config_of(format_failures=(0, 0, 0.5, 0.1))
    questions = build_world(config).questions("train")
    world = FormatWorld.of(config, questions)
    assert world.shares == pytest.approx(SHARES) and world.found.shape == (3, 64, 2, 3)
    assert (world.found[2] == world.world.present).all()
    for at, question in enumerate(questions):
        facts = WorldFacts.required(question, "a test")
        for hop, kind in product(range(2), range(3)):
            for row, (form, chance) in enumerate(((2, 0.5), (3, 0.1))):
                sound = kind in facts.present[hop] and not fails(facts.passages[hop][kind], form, chance)
                assert world.found[row, at, hop, kind] == sound


def test_one_update_is_the_gradient_worked_out_by_hand():
    """Of 8 rollouts w use the format that finds the fact: its logit rises by rate / 8 times w (1 - w/8) / s."""
    world = one_kind((True, False))
    table = TableConfig(questions_per_step=1, learning_rate=0.5, steps=1, checkpoints=(0, 1))
    seen = set()
    for seed in range(12):
        trained = train_formats(world, ALWAYS_FIRST, table, FormatRun(), seed=seed)
        move = trained[1].formats - trained[0].formats
        assert move.sum() == pytest.approx(0)
        possible = {}
        for wins in range(9):
            if wins in (0, 8):
                possible[wins] = 0.0
                continue
            spread = math.sqrt(wins * (8 - wins) / 56)
            # sum over rollouts of advantage x (1[first] - 1/2); advantages add up to 0
            possible[wins] = 0.5 / 8 * wins * (1 - wins / 8) / spread
        hits = [wins for wins, value in possible.items() if value == pytest.approx(float(move[0, 0]), abs=1e-5)]
        assert hits, move
        seen.update(hits)
    assert len(seen) > 3


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5))
def test_advantages_are_those_of_the_registered_objective(rewards):
    given_rewards = torch.tensor(rewards, dtype=torch.float64)
    groups = Groups(tuple(map(str, range(len(rewards)))), given_rewards)
    expected = Grpo()(groups, given_rewards).numpy()
    assert standardise(given_rewards.numpy()) == pytest.approx(expected, abs=1e-12)


def test_the_divergence_pulls_back_by_the_formula_worked_out_by_hand():
    """Each rollout weighs its advantage minus beta (1 - ref / pi of its format); pi is known after the first update."""
    world, beta, rate = one_kind((True, False)), 0.7, 3.0
    table = TableConfig(questions_per_step=1, learning_rate=rate, steps=2, checkpoints=(0, 1, 2))
    moved = 0
    for seed in range(12):
        trained = train_formats(world, ALWAYS_FIRST, table, FormatRun(beta=beta), seed=seed)
        p = choice_probabilities(trained[1].formats)[0]
        move = trained[2].formats[0] - trained[1].formats[0]
        possible = []
        for wins in range(9):
            spread = math.sqrt(wins * (8 - wins) / 56)
            up, down = ((1 - wins / 8) / spread, -wins / 8 / spread) if spread else (0.0, 0.0)
            weights = (up - beta * (1 - 0.5 / p[0]), down - beta * (1 - 0.5 / p[1]))
            possible.append(rate / 8 * (wins * weights[0] * (1 - p[0]) - (8 - wins) * weights[1] * p[0]))
        assert min(abs(value - move[0]) for value in possible) < 1e-5
        moved += abs(p[0] - 0.5) > 0.01
    assert moved > 6


def test_the_divergence_of_kinds_pulls_back_by_the_formula_worked_out_by_hand():
    """One query an episode, of two kinds of which the first has the fact. As for formats, with kinds for formats."""
    present = np.array([[[True, False]]])
    kinds = KindWorld(present, np.zeros(1, np.int64), 1, 1, ("a", "b"), (("fact",),))
    world, beta, rate = FormatWorld(kinds, present[None], np.ones(1)), 0.7, 3.0
    table = TableConfig(questions_per_step=1, learning_rate=rate, steps=2, checkpoints=(0, 1, 2))
    moved = 0
    for seed in range(12):
        trained = train_formats(world, np.zeros((1, 1, 4, 2, 2)), table, FormatRun(beta=beta), seed=seed)
        before, after = (trained[step].kinds[0, 0, 0, 1] for step in (1, 2))
        p = choice_probabilities(before)
        possible = []
        for wins in range(9):
            spread = math.sqrt(wins * (8 - wins) / 56)
            up, down = ((1 - wins / 8) / spread, -wins / 8 / spread) if spread else (0.0, 0.0)
            weights = (up - beta * (1 - 0.5 / p[0]), down - beta * (1 - 0.5 / p[1]))
            possible.append(rate / 8 * (wins * weights[0] * p[1] - (8 - wins) * weights[1] * p[0]))
        assert min(abs(value - (after - before)[0]) for value in possible) < 1e-5
        assert (trained[2].formats == 0).all()
        moved += abs(p[0] - 0.5) > 0.01
    assert moved > 6


def sure_kinds(present):
    """Questions of one hop, in rows [formats, questions], whose only record exists to a format or does not."""
    found = np.array(present)[:, :, None, None] & np.array([True, False])
    kinds = KindWorld(found[0], np.zeros(found.shape[1], np.int64), 1, 1, ("a", "b"), (("fact",),) * found.shape[1])
    return FormatWorld(kinds, found, np.array([0.5, 0.5]))


def test_rewards_are_dealt_within_their_group():
    """One question always has its fact and one never: groups of equals, which a deal among groups would mix."""
    world = sure_kinds([[True, False], [True, False]])
    table = TableConfig(questions_per_step=2, learning_rate=3.0, steps=1, checkpoints=(0, 1))
    for seed in range(4):
        trained = train_formats(world, ALWAYS_FIRST, table, FormatRun(shuffled=True, runs=3), seed=seed)
        assert (trained[1].formats == trained[0].formats).all()


def test_an_epoch_asks_every_question_once():
    """Of two questions only one can move formats; the other's groups are of equals."""
    world = sure_kinds([[True, False], [False, False]])
    table = TableConfig(questions_per_step=1, learning_rate=1.0, steps=4, checkpoints=(0, 1, 2, 3, 4))
    for seed in range(6):
        saved = train_formats(world, ALWAYS_FIRST, table, FormatRun(runs=8), seed=seed)
        moves = [(saved[step + 1].formats != saved[step].formats).any() for step in range(4)]
        assert moves[:2].count(True) == 1 and moves[2:].count(True) == 1, moves


def test_a_strong_divergence_keeps_all_shares_near_the_start():
    world = format_world(format_failures=(0, 0, 0.9))
    start = np.zeros(world.world.table_shape)
    table = TableConfig(learning_rate=1.0, steps=60, checkpoints=(60,))
    shares = [
        choice_probabilities(train_formats(world, start, table, FormatRun(beta=beta, runs=8), seed=2)[60].formats).mean(
            0
        )[0]
        for beta in (0.0, 0.1, 2.0)
    ]
    assert shares[0] < 0.05 < shares[1] < shares[2] and abs(shares[2] - 0.6) < 0.15


def test_rewards_dealt_at_random_do_not_leave_a_failing_format_and_learn_no_kinds():
    world = format_world(format_failures=(0, 0, 0.9), num_train=256)
    start = np.zeros(world.world.table_shape)
    table = TableConfig(learning_rate=1.0, steps=80, checkpoints=(0, 80))
    told, dealt = (
        train_formats(world, start, table, FormatRun(shuffled=shuffled, runs=24), seed=2)[80]
        for shuffled in (False, True)
    )
    assert choice_probabilities(told.formats)[:, 0].max() < 0.2
    assert abs(choice_probabilities(dealt.formats)[:, 0].mean() - 0.6) < 0.1
    best = FormatPopulation.of(config_of(format_failures=(0, 0, 0.9)))
    assert best.values(told)["pass@1_1"] > best.values(dealt)["pass@1_1"] + 0.05


def test_runs_share_a_start_and_nothing_else_and_one_seed_gives_one_result():
    world = format_world()
    start = np.zeros(world.world.table_shape)
    table = TableConfig(learning_rate=3.0, steps=5, checkpoints=(0, 5))
    one, again = (train_formats(world, start, table, FormatRun(runs=3), seed=4) for _ in range(2))
    assert (one[5].formats == again[5].formats).all() and (one[5].kinds == again[5].kinds).all()
    assert (one[0].formats == one[0].formats[0]).all()
    assert len(np.unique(one[5].formats[:, 0])) == 3


# Exact values


def tree_value(chances, present, budget, hop=0, tried=0, left=None):
    """Success of a table on one question, walked in plain Python."""
    left = budget if left is None else left
    if hop == len(present):
        return 1.0
    if left == 0 or tried == 7:
        return 0.0
    return sum(
        chances[hop, tried, left, kind]
        * (
            tree_value(chances, present, budget, hop + 1, 0, left - 1)
            if present[hop][kind]
            else tree_value(chances, present, budget, hop, tried | 1 << kind, left - 1)
        )
        for kind in range(3)
        if not tried >> kind & 1
    )


def test_values_are_those_of_an_enumeration_of_records_and_failures():
    config = config_of(hops=1, budget=2, format_failures=(0, 0, 0.5, 0.2))
    generator = np.random.default_rng(0)
    policies = FormatLogits(generator.normal(size=(2, 3)), generator.normal(size=(2, 1, 8, 3, 3)))
    found = FormatPopulation.of(config).values(policies, ks=(1, 3))
    shares, chances = choice_probabilities(policies.formats), kind_probabilities(policies.kinds)
    expected = {1: 0.0, 3: 0.0}
    a, q = (0.6, 0.5, 0.4), (0.5, 0.2, 0.0)
    for run in range(2):
        for present in product((False, True), repeat=3):
            for ok in product(product((False, True), repeat=3), repeat=3):  # [kind][format], also of absent records
                weight = np.prod([a[k] if present[k] else 1 - a[k] for k in range(3)])
                weight *= np.prod([1 - q[f] if ok[k][f] else q[f] for k in range(3) for f in range(3)])
                if weight == 0:
                    continue
                p = sum(
                    shares[run, f] * tree_value(chances[run], [[present[k] and ok[k][f] for k in range(3)]], 2)
                    for f in range(3)
                )
                for k in expected:
                    expected[k] += weight * (1 - (1 - p) ** k) / 2
    for k, value in expected.items():
        assert found[f"pass@{k}"] == pytest.approx(value, abs=1e-12)


def test_formats_that_never_fail_have_the_values_of_a_policy_without_them():
    config = config_of()
    kinds = np.random.default_rng(1).normal(size=(1, 2, 8, 4, 3))
    found = FormatPopulation.of(config).values(FormatLogits(np.log([SHARES]), kinds))
    expected, _ = exact_values(RowTable.population(config), kind_probabilities(kinds), config.budget)
    for k in (1, 8, 16):
        assert found[f"pass@{k}"] == pytest.approx(expected[f"pass@{k}"], abs=1e-12)
    assert [found[f"pass@1_{form}"] for form in range(3)] == pytest.approx([found["pass@1"]] * 3)


def test_the_first_format_is_ten_points_worse_where_the_page_says_so():
    population = FormatPopulation.of(config_of(format_failures=(0, 0, 0.13)))
    even = population.values(FormatLogits(np.log([SHARES]), np.zeros((1, 2, 8, 4, 3))))
    assert even["pass@1_1"] - even["pass@1_0"] == pytest.approx(0.098, abs=0.0005)


def test_worlds_without_exact_values_are_refused_in_one_line():
    for knobs in ({"cue": 0.5}, {"num_answers": 3}):
        with pytest.raises(BerrypickError, match="without cue and with one answer"):
            FormatPopulation.of(config_of(**knobs))


def test_measures_of_shares():
    found = share_measures(np.array([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6]]))
    assert found["share_0"] == pytest.approx(0.55) and found["largest_share"] == pytest.approx(0.75)
    assert (found["takeover"], found["wins_0"], found["wins_1"], found["wins_2"]) == (0.5, 0.5, 0.0, 0.5)
    assert found["lead"] == pytest.approx((1.0 + 0.25) / 2)
    first = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    second = -(0.4 * math.log(0.2) + 0.6 * math.log(0.6))
    assert found["format_entropy"] == pytest.approx((first + second) / 2)
    assert math.isnan(share_measures(np.array([[1.0, 0.0, 0.0]]))["lead"])
    assert share_measures(np.array([[0.79, 0.2, 0.01], [0.81, 0.1, 0.09]]))["takeover"] == 0.5


# Neutral drift


def drift(chance, *, paths=4000, steps=1, rate=1.0, shares=SHARES, groups=16):
    return neutral_drift(
        np.array(shares), {0: np.full((paths, 1), chance)}, np.ones(1),
        steps=steps, groups=groups, size=8, rate=rate, checkpoints=range(steps + 1), seed=0,
    )  # fmt: skip


def test_groups_of_equals_do_not_drift():
    for chance in (0.0, 1.0):
        assert drift(chance, paths=3, steps=4)[4] == pytest.approx(np.tile(SHARES, (3, 1)))


def test_logits_have_no_expected_move_and_the_variance_of_the_formula():
    """A mixed group moves logit f by rate/N times a sum whose variance is (n - 1) p (1 - p): advantages squared add up
    to n - 1. Groups of 8 at chance 1/2 are mixed with probability 1 - 2/256."""
    rate, groups, p = 1.0, 16, np.array(SHARES)
    after = drift(0.5, rate=rate, groups=groups)[1]
    # of logits only differences are seen in shares
    moves = np.log(after) - np.log(p)
    gaps = moves[:, 0] - moves[:, 1]
    # var of sum_i A_i (1[f_i = 0] - 1[f_i = 1]), with A fixed and formats independent: (n - 1) (p0 + p1 - (p0 - p1)^2)
    variance = rate**2 / (groups * 8) ** 2 * groups * (1 - 2 / 256) * 7 * (p[0] + p[1] - (p[0] - p[1]) ** 2)
    assert gaps.var() == pytest.approx(variance, rel=0.08)
    assert abs(gaps.mean()) < 4 * math.sqrt(variance / len(gaps))


def test_a_majority_s_mean_share_falls_without_any_expected_move_of_logits():
    """Every second group of 2 has one win: the winner's logit rises by rate / 2 / sqrt(2), the loser's falls by it."""
    step, falls = 4.0 / 2 / math.sqrt(2), 0.0
    for won, lost in product(range(3), repeat=2):
        logits = np.log(SHARES) + step * (np.arange(3) == won) - step * (np.arange(3) == lost)
        falls += 0.5 * SHARES[won] * SHARES[lost] * (SHARES[0] - choice_probabilities(logits)[0])
    assert falls > 0.01
    shares = neutral_drift(
        np.array(SHARES), {0: np.full((20_000, 1), 0.5)}, np.ones(1),
        steps=1, groups=1, size=2, rate=4.0, checkpoints=(1,), seed=1,
    )[1][:, 0]  # fmt: skip
    assert SHARES[0] - shares.mean() == pytest.approx(falls, abs=4 * shares.std() / math.sqrt(20_000))


def test_questions_are_asked_by_their_weight_and_chances_are_the_last_known():
    def shares(chances, weights):
        chances = {step: np.tile(row, (5, 1)) for step, row in chances.items()}
        return neutral_drift(
            np.array(SHARES), chances, np.array(weights),
            steps=4, groups=4, size=8, rate=1.0, checkpoints=range(5), seed=0,
        )  # fmt: skip

    never = shares({0: [1.0, 0.5]}, [2.0, 0.0])
    assert never[4] == pytest.approx(np.tile(SHARES, (5, 1)))
    late = shares({0: [1.0, 1.0], 2: [0.5, 0.5]}, [1.0, 1.0])
    assert late[2] == pytest.approx(np.tile(SHARES, (5, 1)))
    assert (late[3] != late[2]).any() and (late[4] != late[3]).any()


def test_trained_policies_of_equal_formats_drift_as_the_simulation_does():
    """Both share the chances of success of the tables that are trained, and no code. Most groups are mixed."""
    config = config_of(num_train=512)
    world = FormatWorld.of(config, build_world(config).questions("train"))
    steps, runs, rate = 12, 300, 3.0
    table = TableConfig(learning_rate=rate, steps=steps, checkpoints=tuple(range(steps + 1)))
    saved = train_formats(world, np.zeros(world.world.table_shape), table, FormatRun(runs=runs), seed=5)
    trained = choice_probabilities(saved[steps].formats)
    rows = RowTable.of(world.world)
    population = FormatPopulation.of(config)
    match = [(population.patterns.present == row).all((1, 2)).argmax() for row in rows.present]
    simulated = neutral_drift(
        np.array(SHARES), {step: population.success(now.kinds)[:, match] for step, now in saved.items()}, rows.weights,
        steps=steps, groups=16, size=8, rate=rate, checkpoints=(steps,), seed=6,
    )[steps]  # fmt: skip
    spreads = np.log(trained).std(0), np.log(simulated).std(0)
    assert min(spreads[0]) > 0.2
    for measure in ("largest_share", "share_0", "format_entropy"):
        one, other = share_measures(trained)[measure], share_measures(simulated)[measure]
        assert one == pytest.approx(other, abs=0.035), measure
    assert spreads[0] == pytest.approx(spreads[1], rel=0.2)
