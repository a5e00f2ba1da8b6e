"""VPO: its claims and arms, a smoke run and its page, a row computed again, and one number computed twice."""

from __future__ import annotations

import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from berrypick import BerrypickError
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.world import build_world
from berrypick.experiments.grid.arms import ARMS
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.table_cells import TableCell, run_table_cell
from berrypick.experiments.registry import open_experiment
from berrypick.experiments.vector_policy import CONTRASTS, EVEN, EXPERIMENT, LEANING, UNEVEN
from berrypick.policies.objectives import get_objective
from berrypick.policies.tabular.candidates import CANDIDATE_MEASURES, candidate_bounds
from berrypick.policies.tabular.training import TableConfig
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
    published_rows,
)

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results" / "vector_policy"


def test_claims_are_those_of_t6_and_t7_and_their_arms_exist():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids)
    for one in CONTRASTS:
        arms = EXPERIMENT.arms_of[one.condition]
        assert one.arm in arms and one.measure in CANDIDATE_MEASURES
        assert one.against.removeprefix("ladder ") in {*arms, "control", "start", "matched"}
    assert {one.claim.source.removeprefix("2605.22817 ")[:4] for one in CONTRASTS} == {"(T6)", "(T7)", "desi"}


def test_constants_are_the_papers():
    shape = get_objective(EXPERIMENT.arms["vpo"].objective).shape
    assert (shape.num_weights, shape.alpha, EXPERIMENT.arms["vpo"].candidates) == (100, 1.0, 3)
    assert EXPERIMENT.table.group_size == 8 and get_objective(EXPERIMENT.arms["max_at_k"].objective).shape.k is None
    for name in ("grpo", "grpo_sets", "multi_rlvr", "vpo", "vpo_collinear", "random_weights"):
        assert get_objective(EXPERIMENT.arms[name].objective).estimate.population
    assert get_objective(EXPERIMENT.arms["random_weights"].objective).shape.num_weights == 1


def test_controls_match_candidates_and_queries_of_a_step():
    table, arms = EXPERIMENT.table, EXPERIMENT.arms
    sizes = {name: arms[name].table(table).group_size for name in ("grpo", "vpo", "grpo_16", "grpo_24")}
    assert sizes == {"grpo": 8, "vpo": 8, "grpo_16": 16, "grpo_24": 24}
    assert sizes["grpo_24"] == sizes["vpo"] * arms["vpo"].candidates
    first_hop = 1 / 0.9  # queries before the last hop, nearly
    assert sizes["grpo_16"] * (first_hop + 1) == pytest.approx(sizes["vpo"] * (first_hop + 3), rel=0.03)


def test_worlds_have_the_room_that_the_design_asks_for():
    for place, collapsed in ((EVEN, 0.15), (UNEVEN, 0.15)):
        config = Condition.of(place).world_config()
        assert config.num_answers == len(config.availability) == 6
        most = candidate_bounds(config)["best@30"][1]
        assert most - collapsed > 3 * max(one.claim.smallest_effect for one in CONTRASTS if one.measure == "best@30")
    assert candidate_bounds(Condition.of(EVEN).world_config())["best@30"] == pytest.approx((0.15, 0.3908), abs=1e-4)
    assert Condition.of(LEANING).shares[0] == 20 and len(Condition.of(LEANING).shares) == 6


def test_worlds_are_those_of_no_other_experiment():
    def worlds(name):
        cells = open_experiment(name).cells("full", 24)
        return {cell.config["world"] for cell in cells if cell.key.startswith("tabular/")}

    mine = worlds("vector_policy")
    assert mine == set(range(1200, 1224))
    assert not mine & {*worlds("diversity_tax"), *worlds("darling"), *worlds("outcome_exploration")}


def test_claims_were_committed_before_any_result():
    check_claims_came_first("vector_policy")


def test_vpo_on_equal_dimensions_is_grpo_on_sets():
    """An identity of arithmetic, so no claim: the best of equal vectors is whether one is right."""
    table = TableConfig(steps=20, checkpoints=(0, 20), learning_rate=3.0)
    cells = [TableCell(EVEN, name, 0.0, 3, 1003, 64, False, table) for name in ("vpo_collinear", "grpo_sets", "vpo")]
    collinear, sets, vpo = (run_table_cell(cell, EXPERIMENT.arms[cell.arm])["checkpoints"] for cell in cells)
    assert collinear["20"] == pytest.approx(sets["20"], abs=1e-5)
    assert vpo["20"]["best@3"] > sets["20"]["best@3"] + 0.001 and collinear["0"] == vpo["0"]


def test_a_start_without_shares_is_one_line():
    cell = TableCell("six/diverse", "vpo", 0.0, 3, 1003, 16, False, TableConfig(sft_steps=1, steps=0, checkpoints=(0,)))
    with pytest.raises(BerrypickError, match="demonstrates no candidates; give a start in shares"):
        run_table_cell(cell, EXPERIMENT.arms["vpo"])
    assert not any(arm.candidates or arm.group_size for arm in ARMS.values())


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("vector_policy")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=20)
    _, report = smoke
    assert list(report["conditions"][EVEN]["arms"]) == [name for name in EXPERIMENT.arms if name != "entropy"]
    header = next(line.split() for line in report["text"].splitlines() if line.startswith("arm "))
    assert header == ["arm", "best@3", "best@30", "right@1", "l1@30"]  # an experiment's own measures, not pass@1


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Claims and verdicts", "Limits", "Reproduce")
    check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings)


def test_the_page_is_regenerated_from_the_committed_report():
    check_committed_page(EXPERIMENT, most_bytes=900_000)


def published_cell():
    return published_rows("vector_policy")[EXPERIMENT.reproduced]["result"]["checkpoints"]


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)


# A second computation of one number, which shares the World, the draws and nothing else


class ByHand:
    """VPO on sets of three in plain Python: softmax gradients by their formula, a state for what has been named."""

    def __init__(self, present, seed):
        self.present, self.seed, self.logits = present, seed, {}

    def chances(self, state):
        hop, tried, _ = state
        logits = self.logits.setdefault(state, np.zeros(6))
        weights = [0.0 if hop == 0 and kind in tried else float(np.exp(logits[kind])) for kind in range(6)]
        return [weight / sum(weights) for weight in weights]

    def episode(self, question, draws):
        first, named, choices = [], [], []
        while len(named) < 3 and len(first) < 6:
            found = bool(first) and self.present[question, 0, first[-1]]
            state = (1, frozenset(named), 3 - len(named)) if found else (0, frozenset(first), 9 - len(first))
            edges = np.cumsum(self.chances(state))
            kind = int(np.searchsorted(edges, draws[len(choices)] * edges[-1], side="right"))
            choices.append((state, kind))
            (named if found else first).append(kind)
        return {kind for kind in named if self.present[question, 1, kind]}, choices

    def reinforce(self, steps):
        order = np.random.default_rng((self.seed, 3, 0)).permutation(len(self.present))
        for step in range(steps):
            draws = np.random.default_rng((self.seed, 5, step)).random((128, 9))
            gradients = {}
            for at, question in enumerate(order[step * 16 : step * 16 + 16]):
                users = np.random.default_rng((self.seed * 100_003 + step, 13, zlib.crc32(str(question).encode())))
                weights = users.dirichlet([1.0] * 6, 100)
                group = [self.episode(question, draws[at * 8 + number]) for number in range(8)]
                paid = [np.mean([max([0.0, *(w[kind] for kind in right)]) for w in weights]) for right, _ in group]
                spread = np.std(paid)
                for pay, (_, choices) in zip(paid, group):
                    advantage = (pay - np.mean(paid)) / (spread + 1e-6) if spread > 1e-9 else 0.0
                    for state, kind in choices:
                        push = gradients.setdefault(state, np.zeros(6))
                        push += advantage * (np.eye(6)[kind] - self.chances(state))
            for state, push in gradients.items():
                self.logits[state] = self.logits[state] + 3.0 * push / 128

    def sets(self):
        """(the kinds of a set) -> chance."""
        out = {}
        for named in product(range(6), repeat=3):
            chance = 1.0
            for place, kind in enumerate(named):
                chance *= self.chances((1, frozenset(named[:place]), 3 - place))[kind]
            out[frozenset(named)] = out.get(frozenset(named), 0.0) + chance
        return out


@pytest.mark.slow
def test_a_number_of_the_page_follows_from_a_second_computation():
    published = published_cell()["200"]
    config = Condition.of(EVEN).world_config(1200, 4096)
    facts = [WorldFacts.required(question, "a test") for question in build_world(config).questions("train")]
    present = np.array([[[kind in hop for kind in range(6)] for hop in one.present] for one in facts])
    policy = ByHand(present, seed=200)
    policy.reinforce(200)
    sets = policy.sets()
    worth = [sum(1 / i for i in range(1, n + 1)) / 6 for n in range(7)]
    found = {1: 0.0, 10: 0.0}
    for episodes in found:
        unions = {frozenset(): 1.0}
        for _ in range(episodes):
            grown = {}
            for (union, p), (one, q) in product(unions.items(), sets.items()):
                grown[union | one] = grown.get(union | one, 0.0) + p * q
            unions = grown
        for pattern in product((False, True), repeat=6):
            weight = np.prod([0.9 if there else 0.1 for there in pattern])
            found[episodes] += weight * sum(p * worth[sum(pattern[kind] for kind in one)] for one, p in unions.items())
    reached = 1 - 0.1**6
    assert found[1] * reached == pytest.approx(published["best@3"], abs=1e-5)
    assert found[10] * reached == pytest.approx(published["best@30"], abs=1e-5)
