"""RL squeezes, SFT expands: claims and arms, a smoke run and its page, a row computed again, one number twice."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.registry import EXPERIMENTS, open_experiment
from berrypick.experiments.squeeze import ALL, CONTRASTS, EXPERIMENT, ONE, ROOMY, SAME
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
    published_rows,
)
from fixtures.table_by_hand import facts_of, present_in

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results" / "squeeze"


def test_claims_have_their_arms_and_rl_is_asked_in_both_directions():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids) and not any(" " in name for name in ids)
    for one in CONTRASTS:
        if one.policy == "tabular":
            assert one.arm in EXPERIMENT.arms_of[one.condition]
            assert one.measure in EXPERIMENT.measures
        else:
            assert one.condition in EXPERIMENT.language.places and one.measure in EXPERIMENT.language_measures
    pairs = {}
    for one in CONTRASTS:
        if one.arm == "rl" and one.measure.startswith("queries@"):
            pairs.setdefault((one.policy, one.condition), set()).add(one.claim.expected)
    assert len(pairs) == 11 and set(map(frozenset, pairs.values())) == {frozenset(("increase", "decrease"))}


def test_all_arms_begin_at_one_base_and_differ_by_their_demonstrator():
    assert {where.start for where in EXPERIMENT.conditions} == {SAME}
    demonstrators = {name: arm.demonstrator for name, arm in EXPERIMENT.arms.items()}
    assert demonstrators == {
        "base": "", "rl": "", "sft_same": SAME, "sft_one": ONE, "sft_all": ALL, "sft_one_rl": ONE, "sft_all_rl": ALL,
    }  # fmt: skip
    assert EXPERIMENT.table.sft_steps == EXPERIMENT.table.steps == EXPERIMENT.table.checkpoints[-1]


def test_no_other_experiment_has_these_worlds():
    def worlds(experiment):
        keys = ("world", "world_seed")
        return {cell.config[key] for cell in experiment.cells("full", 24) for key in keys if key in cell.config}

    cells = [cell for cell in EXPERIMENT.cells("full", 24) if not cell.key.startswith("pilot/")]
    mine = {cell.config.get("world", cell.config.get("world_seed")) for cell in cells}
    assert mine == set(range(1300, 1324))
    for name in ("darling", "diversity_tax", "outcome_exploration"):
        assert name in EXPERIMENTS and not mine & worlds(open_experiment(name))


def test_language_models_start_from_three_demonstrators_under_two_budgets():
    cells = [cell for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("language/")]
    assert len({cell.key for cell in cells}) == 3 * 2 * 8
    assert {Condition.of(cell.config["condition"]).start for cell in cells} == {SAME, ONE, ALL}
    assert {cell.config["sequences"] for cell in cells} == {64}
    assert {cell.config["world_seed"] for cell in cells} == set(range(1300, 1308))
    budgets = {Condition.of(cell.config["condition"]).world_config().budget for cell in cells}
    assert budgets == {2, 4}


def test_claims_were_committed_before_any_result():
    check_claims_came_first("squeeze")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("squeeze")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=14)
    _, report = smoke
    assert list(report["conditions"][ROOMY]["arms"]) == list(EXPERIMENT.arms)
    assert set(report["conditions"][ROOMY]["start"]) == set(EXPERIMENT.measures)


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Published figures beside ours", "Claims and verdicts", "Questions solved", "Limits", "Reproduce")
    check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings)


def test_the_page_is_regenerated_from_the_committed_report():
    check_committed_page(EXPERIMENT, most_bytes=1_200_000)


def published_cell():
    return published_rows("squeeze")[EXPERIMENT.reproduced]["result"]["checkpoints"]


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)


# A second computation of one row, which shares the World, the draws and nothing else


class ByHand:
    """GRPO from shares .7, .2, .1 in plain Python: softmax gradients by their formula, sequences one by one."""

    def __init__(self, present, budget, seed):
        self.present, self.budget, self.seed = present, budget, seed
        self.logits = {}

    def chances(self, state):
        logits = self.logits.get(state, np.log([0.7, 0.2, 0.1]))
        weights = [0.0 if state[1] >> kind & 1 else float(np.exp(logits[kind])) for kind in range(3)]
        return [weight / sum(weights) for weight in weights]

    def episode(self, question, draws):
        hop, tried, choices = 0, 0, []
        for turn in range(self.budget):
            if hop == 2 or tried == 7:
                break
            state = (hop, tried, self.budget - turn)
            chances = self.chances(state)
            edges = np.cumsum(chances)
            kind = int(np.searchsorted(edges, draws[turn] * edges[-1], side="right"))
            choices.append((state, kind, chances))
            hop, tried = (hop + 1, 0) if self.present[question, hop, kind] else (hop, tried | 1 << kind)
        return float(hop == 2), choices

    def reinforce(self, steps):
        order = np.random.default_rng((self.seed, 3, 0)).permutation(len(self.present))
        for step in range(steps):
            draws = np.random.default_rng((self.seed, 5, step)).random((128, self.budget))
            gradients = {}
            for at, question in enumerate(order[step * 16 : step * 16 + 16]):
                group = [self.episode(question, draws[at * 8 + number]) for number in range(8)]
                rewards = np.array([won for won, _ in group])
                for won, choices in group:
                    advantage = (won - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)
                    for state, kind, chances in choices:
                        push = gradients.setdefault(state, np.zeros(3))
                        push += advantage * (np.eye(3)[kind] - chances)
            for state, push in gradients.items():
                self.logits[state] = self.logits.get(state, np.log([0.7, 0.2, 0.1])) + 3.0 * push / 128

    def sequences(self, present):
        """Sequence of kinds -> (its probability, whether it ends right)."""
        out = {}

        def go(hop, tried, asked, chance):
            left = self.budget - len(asked)
            if hop == 2 or not left or tried == 7:
                out[asked] = (chance, hop == 2)
                return
            for kind, p in enumerate(self.chances((hop, tried, left))):
                if p and present[hop][kind]:
                    go(hop + 1, 0, (*asked, kind), chance * p)
                elif p:
                    go(hop, tried | 1 << kind, (*asked, kind), chance * p)

        go(0, 0, (), 1.0)
        return out


@pytest.mark.slow
def test_a_row_of_the_page_follows_from_a_second_computation():
    published = published_cell()["200"]
    config = Condition.of(ROOMY).world_config(1300, 4096)
    present = present_in(facts_of(config))
    policy, base = ByHand(present, 4, seed=300), ByHand(present, 4, seed=300)
    policy.reinforce(200)
    found = dict.fromkeys(("queries@64", "right@64", "wrong@64", "signatures@64", "gained@64", "lost@64", "new"), 0.0)
    for pattern in product((False, True), repeat=6):
        weight = np.prod([a if there else 1 - a for a, there in zip((0.6, 0.4, 0.2) * 2, pattern)])
        halves = pattern[:3], pattern[3:]
        now, before = policy.sequences(halves), base.sequences(halves)
        signatures, won = {}, {}
        for name, sequences in (("now", now), ("before", before)):
            won[name] = 1 - (1 - sum(p for p, right in sequences.values() if right)) ** 64
        for asked, (p, right) in now.items():
            met = 1 - (1 - p) ** 64
            found["queries@64"] += weight * met
            found["right@64" if right else "wrong@64"] += weight * met
            found["new"] += weight * met * (1 - before[asked][0]) ** 64
            if right:
                hits, hop = [], 0
                for kind in asked:
                    if halves[hop][kind]:
                        hits.append(kind)
                        hop = min(hop + 1, 1)
                signatures[tuple(hits[:2])] = signatures.get(tuple(hits[:2]), 0.0) + p
        found["signatures@64"] += weight * sum(1 - (1 - p) ** 64 for p in signatures.values())
        found["gained@64"] += weight * won["now"] * (1 - won["before"])
        found["lost@64"] += weight * won["before"] * (1 - won["now"])
    found["new@64"] = found.pop("new") / found["queries@64"]
    for name, value in found.items():
        assert value == pytest.approx(published[name], abs=1e-5), name
