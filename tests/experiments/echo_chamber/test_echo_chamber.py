"""Echo Chamber: its claims and arms, a smoke run and its page, a row computed again, one number computed twice."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from berrypick.envs.world.failing_formats import fails
from berrypick.envs.world.world import build_world
from berrypick.experiments.echo_chamber import CONTRASTS, EQUAL, EXPERIMENT, FAILS, MINOR, SLIGHTLY, WEAKER
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.format_cells import RUNS, run_format_cell
from berrypick.experiments.grid.pilot import PILOT_WORLDS
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.registry import open_experiment
from berrypick.policies.objectives import get_objective
from berrypick.policies.tabular.neutral_drift import neutral_drift
from berrypick.policies.tabular.training import TableConfig
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
    published_rows,
)
from fixtures.table_by_hand import TableByHand, facts_of, present_in

TRAINED = ["rl", "kl_1e-3", "kl_1e-2", "kl_1e-1", "no_reward"]


# Claims and cells


def test_claims_have_their_arms_and_read_measures_that_exist():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids) == 35
    for one in CONTRASTS:
        if one.policy == "tabular":
            assert one.arm in EXPERIMENT.arms_of[one.condition] and one.measure in EXPERIMENT.measures
        else:
            assert one.arm in EXPERIMENT.language.places[one.condition]
            assert one.measure in EXPERIMENT.language_measures and one.claim.min_worlds == 8
        assert {one.against} <= {*EXPERIMENT.arms, "control", "start", "zero"}
    sources = {one.claim.source for one in CONTRASTS}
    assert {"control", "design"} < sources and any("T8" in source for source in sources)


def test_of_the_majority_s_mean_share_both_answers_are_asked():
    both = [one for one in CONTRASTS if one.measure == "share_0" and one.arm == "rl" and one.condition.name == EQUAL]
    assert {one.claim.expected for one in both} == {"increase", "equivalent"}


def test_the_weights_of_the_divergence_are_those_of_the_paper_and_ten_times_that():
    betas = [get_objective(EXPERIMENT.arms[name].objective).terms for name in TRAINED[:4]]
    assert [terms[0].beta if terms else 0.0 for terms in betas] == [0.0, 1e-3, 1e-2, 1e-1]
    assert {name: arm.objective for name, arm in EXPERIMENT.language.arms.items() if name in TRAINED} == {
        name: EXPERIMENT.arms[name].objective for name in TRAINED
    }


def test_worlds_are_of_this_experiment_alone_and_the_pilot_s_are_apart():
    cells = [cell for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("tabular/")]
    assert {cell.config["world"] for cell in cells} == set(range(1600, 1624)) and len(cells) == 24 * 44
    for name in ("darling", "outcome_exploration", "squeeze", "preference_tuning", "vector_policy"):
        others = open_experiment(name).cells("full", 24)
        assert not any(cell.key.startswith("tabular/") and 1600 <= cell.config["world"] < 1624 for cell in others)
    pilot = {cell.config["seed"] for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("pilot/")}
    assert pilot == set(PILOT_WORLDS)


def test_the_places_differ_in_which_format_fails_and_in_nothing_else():
    configs = {place: Condition.of(place).world_config(1600, 16) for place in (EQUAL, FAILS, WEAKER, SLIGHTLY, MINOR)}
    assert {place: config.format_failures for place, config in configs.items()} == {
        EQUAL: (), FAILS: (0, 0, 0.5), WEAKER: (0, 0, 0.13), SLIGHTLY: (0, 0, 0.03), MINOR: (0, 0, 0, 0.5)
    }  # fmt: skip
    assert {config.query_formats for config in configs.values()} == {(0, 0, 0.6, 0.25, 0.15)}
    assert len({build_world(config).passages()[0] for config in configs.values()}) == 1


def test_claims_were_committed_before_any_result():
    check_claims_came_first("echo_chamber")


# Cells of tables


def cell_of(place, arm, **table):
    config = TableConfig(learning_rate=3.0, **{"sft_steps": 5, "steps": 4, "checkpoints": (0, 4), **table})
    return TableCell(place, arm, 0.0, 600, 1600, 64, False, config)


def test_a_cell_starts_at_the_shares_of_the_demonstrators_and_has_bounds_around_its_values():
    for place in (EQUAL, FAILS):
        found = run_format_cell(cell_of(place, "rl"), EXPERIMENT.arms)
        first = found["checkpoints"]["0"]
        assert [first[f"share_{form}"] for form in range(3)] == pytest.approx([0.6, 0.25, 0.15], abs=1e-6)
        assert first["lead"] == pytest.approx(0.625) and first["wins_0"] == 1
        assert set(first) == set(EXPERIMENT.measures)
        for values in found["checkpoints"].values():
            for name, (low, high) in found["bounds"].items():
                assert low <= values[name] <= high + 1e-6, name
    assert first["pass@1_0"] < first["pass@1_1"] - 0.2


def test_drift_has_the_success_of_the_policies_whose_wins_it_takes():
    trained, drifted = (run_format_cell(cell_of(EQUAL, arm), EXPERIMENT.arms)["checkpoints"] for arm in ("rl", "drift"))
    for name in ("pass@1", "pass@8"):
        assert drifted["4"][name] == trained["4"][name]
    assert drifted["4"]["share_0"] != trained["4"]["share_0"] and drifted["0"] == trained["0"]


def test_drift_is_simulated_as_the_table_is_trained_with_the_chances_of_every_step(monkeypatch):
    given = []

    def recorded(shares, chances, weights, **options):
        given.append((shares, chances, weights, options))
        return neutral_drift(shares, chances, weights, **options)

    monkeypatch.setattr("berrypick.experiments.grid.format_cells.neutral_drift", recorded)
    run_format_cell(cell_of(EQUAL, "drift"), EXPERIMENT.arms)
    ((shares, chances, weights, options),) = given
    assert shares == pytest.approx([0.6, 0.25, 0.15]) and list(chances) == [0, 1, 2, 3, 4]
    assert options == {"steps": 4, "groups": 16, "size": 8, "rate": 3.0, "checkpoints": (0, 4), "seed": 600}
    assert weights.sum() == pytest.approx(1)
    # of the 64 sets of records, in the order of binary numbers: none has a fact, all have every one
    assert weights[[0, -1]] == pytest.approx([(0.4 * 0.5 * 0.6) ** 2, (0.6 * 0.5 * 0.4) ** 2])
    assert {row.shape for row in chances.values()} == {(RUNS, 64)}
    assert chances[4][:, 0] == pytest.approx(0) and (chances[4][:, -1] == pytest.approx(1))


def test_an_arm_s_objective_decides_its_divergence_and_how_rewards_are_dealt():
    """RL leaves a failing majority in 12 steps, a divergence of weight .1 holds it back, rewards at random keep it."""
    share = {}
    for arm in TRAINED:
        found = run_format_cell(cell_of(FAILS, arm, steps=12, checkpoints=(0, 12)), EXPERIMENT.arms)
        share[arm] = found["checkpoints"]["12"]["share_0"]
    assert share["rl"] < share["kl_1e-3"] < share["kl_1e-2"] < share["kl_1e-1"] < 0.2 < 0.5 < share["no_reward"]


# A run, its page, and its rows


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("echo_chamber")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=22)
    _, report = smoke
    assert list(report["conditions"][EQUAL]["arms"]) == [*TRAINED, "drift"]
    assert list(report["conditions"][FAILS]["arms"]) == TRAINED


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Claims and verdicts", "Shares of formats", "Limits", "Reproduce")
    check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings)


def test_the_page_is_regenerated_from_the_committed_report():
    check_committed_page(EXPERIMENT, most_bytes=1_700_000)


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)


# A second computation of one number, which shares the World, the draws and nothing else


class ByHand(TableByHand):
    """Run 0 of the failing majority, with a format for each episode."""

    def __init__(self, found, budget, seed, runs):
        super().__init__(budget, seed)
        self.found, self.runs = found, runs
        self.formats = [math.log(share) for share in (0.6, 0.25, 0.15)]

    def shares(self):
        weights = [math.exp(logit) for logit in self.formats]
        return [weight / sum(weights) for weight in weights]

    def reinforce(self, steps, rate=3.0):
        order = np.random.default_rng((self.seed, 3, 0)).permutation(self.found.shape[1])
        for step in range(steps):
            generator = np.random.default_rng((self.seed, 19, step))
            picks = generator.random((self.runs, 128))[0]
            draws = generator.random((self.runs * 128, self.budget))[:128]
            shares, pushes, form_pushes = self.shares(), [], [0.0, 0.0, 0.0]
            for group, question in enumerate(order[step * 16 : step * 16 + 16]):
                played = []
                for at in range(group * 8, group * 8 + 8):
                    form = int(np.searchsorted(np.cumsum(shares), picks[at] * sum(shares), side="right"))
                    played.append((form, *self.episode(self.found[form, question], draws[at], self.chances)))
                rewards = [won for _, won, _ in played]
                spread = np.std(rewards, ddof=1)
                for form, won, choices in played:
                    advantage = (won - np.mean(rewards)) / (spread + 1e-6) if spread else 0.0
                    pushes.append((advantage, choices))
                    for other in range(3):
                        form_pushes[other] += advantage * ((other == form) - shares[other])
            self.descend(pushes, rate)
            self.formats = [a + rate * b / 128 for a, b in zip(self.formats, form_pushes)]


@pytest.mark.slow
def test_a_number_of_the_grid_follows_from_a_second_computation(monkeypatch):
    """A cell of one run, in the World whose majority format fails, against plain Python; of 32 runs the first."""
    monkeypatch.setattr("berrypick.experiments.grid.format_cells.RUNS", 1)
    steps = 25
    cell = TableCell(FAILS, "rl", 0.0, 600, 1600, 512, False, TableConfig(learning_rate=3.0, sft_steps=40, steps=steps,
                     checkpoints=(0, steps)))  # fmt: skip
    computed = run_format_cell(cell, EXPERIMENT.arms)["checkpoints"][str(steps)]
    config = Condition.of(FAILS).world_config(1600, 512)
    facts = facts_of(config)
    present = present_in(facts)
    sound = [[[not fails(key, 2, 0.5) for key in hop] for hop in one.passages] for one in facts]
    policy = ByHand(np.array([present & sound, present, present]), config.budget, 600, runs=1)
    policy.imitate(present, 40)
    policy.reinforce(steps)
    shares = policy.shares()
    assert [computed[f"share_{form}"] for form in range(3)] == pytest.approx(shares, abs=1e-5)
    expected = {1: 0.0, 8: 0.0}
    a = (0.6, 0.5, 0.4) * 2
    memory = {}
    for states in product(range(3), repeat=6):  # absent, present and failing for the first format, sound for all
        weight = math.prod((1 - p, p / 2, p / 2)[state] for p, state in zip(a, states))
        parts = []
        for least in (2, 1, 1):
            pattern = tuple(state >= least for state in states)
            if pattern not in memory:
                memory[pattern] = policy.success((pattern[:3], pattern[3:]))
            parts.append(memory[pattern])
        chance = sum(share * part for share, part in zip(shares, parts))
        for k in expected:
            expected[k] += weight * (1 - (1 - chance) ** k)
    assert computed["pass@1"] == pytest.approx(expected[1], abs=1e-5)
    assert computed["pass@8"] == pytest.approx(expected[8], abs=1e-5)


def test_published_cells_begin_at_one_policy_in_each_world():
    rows = [row for row in published_rows("echo_chamber").values() if row["key"].startswith("tabular/formats-diverse/")]
    starts = {(row["key"].rsplit("-", 1)[-1], tuple(sorted(row["result"]["checkpoints"]["0"].items()))) for row in rows}
    assert len(starts) == len({world for world, _ in starts}) and RUNS == 32
