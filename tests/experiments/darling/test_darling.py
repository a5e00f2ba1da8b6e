"""DARLING: its claims and arms, a smoke run and its page, a row computed again, and one number computed twice."""

from __future__ import annotations

import json
import lzma
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from berrypick.experiments.darling import CONTRASTS, EXPERIMENT, PRICED, STEEP
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.registry import open_experiment
from berrypick.policies.objectives import get_objective
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
    published_rows,
)
from fixtures.table_by_hand import TableByHand, facts_of, present_in

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results" / "darling"
TABULAR = ["dr_grpo", "darling", "darling_oracle", "darling_random"]


def test_claims_have_their_arms_and_those_of_a_language_model_are_t5():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids)
    for one in CONTRASTS:
        if one.policy == "tabular":
            assert one.arm in EXPERIMENT.arms_of[one.condition]
        else:
            assert one.condition == Condition.of(PRICED) and one.measure in EXPERIMENT.language_measures
            assert {one.arm, one.against} <= {*EXPERIMENT.language.arms, "control", "matched"}
    assert {one.against for one in CONTRASTS if one.policy != "tabular"} == {"lexical", "darling", "control", "matched"}


def test_all_arms_have_the_same_floor_and_the_same_power():
    specs = {name: spec.replace("{classifier}", "") for name, spec in EXPERIMENT.language.arms.items()}
    shapes = {name: get_objective(spec).shape for name, spec in specs.items() if name != "dr_grpo"}
    assert {(shape.floor, shape.power) for shape in shapes.values()} == {(0.1, 2.0)}
    for name in ("darling", "darling_oracle", "darling_random"):
        arm = EXPERIMENT.arms[name]
        assert arm.strengths == (0.5, 2.0, 8.0)
        assert get_objective(arm.objective.format("2")).shape == shapes[name]


def test_worlds_are_not_those_of_the_experiment_that_ran_the_squared_form_before():
    def worlds(name):
        cells = open_experiment(name).cells("full", 24)
        return {cell.config["world"] for cell in cells if cell.key.startswith("tabular/")}

    mine = worlds("darling")
    assert mine == set(range(1100, 1124)) and not mine & worlds("diversity_tax")
    language = [cell for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("language/")]
    assert len(language) == 48 and {cell.config["world_seed"] for cell in language} == set(range(1100, 1108))
    assert language[0].config["world_args"] == {"query_formats": "0.34,0.33,0.33", "aliases": True}
    assert all(("classifier_questions" in c.config) == (c.config["arm"] == "darling_learned") for c in language)


@pytest.mark.parametrize("name", ["diversity_tax", "outcome_exploration"])
def test_published_cells_of_other_experiments_are_still_theirs(name):
    file = ROOT / "results" / name / "grid_cells.jsonl.xz"
    if not file.is_file():
        pytest.skip("no committed results")
    published = {row["key"]: row["digest"] for row in map(json.loads, lzma.decompress(file.read_bytes()).splitlines())}
    now = {cell.key: cell.digest for cell in open_experiment(name).cells("full", 24)}
    assert published and {key: now.get(key) for key in published} == published


def test_claims_were_committed_before_any_result():
    check_claims_came_first("darling")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("darling")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=8)
    _, report = smoke
    assert list(report["conditions"][PRICED]["arms"]) == TABULAR


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Published figures beside ours", "Claims and verdicts", "Limits", "Reproduce")
    page = check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings)
    assert "[findings.md](findings.md)" in page and (ROOT / "docs" / "findings.md").is_file()


def test_the_page_is_regenerated_from_the_committed_report():
    check_committed_page(EXPERIMENT, most_bytes=600_000)


def published_cell():
    return published_rows("darling")[EXPERIMENT.reproduced]["result"]["checkpoints"]


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)


# A second computation of one number, which shares the World, the draws and nothing else


class ByHand(TableByHand):
    """After imitation of random orders, squared DARLING."""

    def __init__(self, present, budget, seed):
        super().__init__(budget, seed)
        self.present = present

    def reinforce(self, steps):
        order = np.random.default_rng((self.seed, 3, 0)).permutation(len(self.present))
        for step in range(steps):
            draws = np.random.default_rng((self.seed, 5, step)).random((128, self.budget))
            pushes = []
            for at, question in enumerate(order[step * 16 : step * 16 + 16]):
                group = [self.episode(self.present[question], draws[at * 8 + one], self.chances) for one in range(8)]
                seen = [frozenset((hop, kind) for (hop, _, _), kind in choices) for _, choices in group]
                paid = [won * max(((8 - seen.count(shown)) / 7) ** 2, 0.1) for (won, _), shown in zip(group, seen)]
                pushes += [(pay - np.mean(paid), choices) for pay, (_, choices) in zip(paid, group)]
            self.descend(pushes, 3.0)


@pytest.mark.slow
def test_a_number_of_the_page_follows_from_a_second_computation():
    published = published_cell()["200"]
    config = Condition.of(PRICED).world_config(1100, 4096)
    present = present_in(facts_of(config))
    policy = ByHand(present, config.budget, seed=100)
    policy.imitate(present, 200)
    policy.reinforce(200)
    availability, found = (0.6, 0.5, 0.4), {1: 0.0, 8: 0.0}
    for pattern in product((False, True), repeat=6):
        weight = np.prod([a if there else 1 - a for a, there in zip(availability * 2, pattern)])
        chance = policy.success((pattern[:3], pattern[3:]))
        for k in found:
            found[k] += weight * (1 - (1 - chance) ** k)
    assert found[1] == pytest.approx(published["pass@1"], abs=1e-5)
    assert found[8] == pytest.approx(published["pass@8"], abs=1e-5)


def test_both_conditions_have_every_strength():
    cells = [cell for cell in EXPERIMENT.cells("full", 1) if cell.key.startswith("tabular/")]
    for place in (PRICED, STEEP):
        own = [cell for cell in cells if cell.config["condition"] == place]
        assert len(own) == 10 and all(cell.config["world"] == 1100 for cell in own)
    assert len(cells) == 28
