"""Outcome-based exploration: labels, coverage and room by hand, a smoke run, its page, and a row computed again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.outcome_measures import MEASURES, measure_outcomes, question_labels
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.grid.table_training import training_world
from berrypick.experiments.grid.transfer_cells import TransferGrid, label_questions, outcome_values
from berrypick.experiments.outcome_exploration import CONTRASTS, EXPERIMENT, LANGUAGE, MANY, NARROW
from berrypick.policies.scripted import scripted_policy
from berrypick.policies.tabular.kinds import KindWorld
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
    published_rows,
)

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results" / "outcome_exploration"


# Labels and measures


def by_hand():
    """Two hops, three kinds, two queries: the first question needs kind 0 twice, the second kind 1 twice, the third
    has a hop that no kind covers."""
    present = np.zeros((3, 2, 3), bool)
    present[0, :, 0] = present[1, :, 1] = present[2, 0, 0] = True
    return KindWorld(present, np.arange(3), 2, 3, ("a", "b", "c"), (("f", "g"),) * 3)


def start_of(world, shares=(0.98, 0.01, 0.01)):
    return np.broadcast_to(np.log(shares), world.table_shape).copy()


def test_questions_are_solved_unsolved_or_unanswerable():
    world = by_hand()
    solved, unsolved = question_labels(world, start_of(world), seed=0)
    assert solved.tolist() == [True, False, False]  # (.01)^2 is not met in 64 rollouts, .98^2 is
    assert unsolved.tolist() == [False, True, False]
    again = question_labels(world, start_of(world), seed=0)
    np.testing.assert_array_equal(np.stack(again), np.stack([solved, unsolved]))


def test_values_of_the_start_and_bounds_by_hand():
    world = by_hand()
    run = measure_outcomes(world, start_of(world), 0)
    found = run.values(0, start_of(world))
    assert set(found) == set(MEASURES)
    assert found["pass@1_solved"] == pytest.approx(0.98**2)
    assert found["pass@1_unsolved"] == pytest.approx(0.01**2)
    # the second question: kind 1 at once and again; at once and then another; after a miss, kind 1 of the two others
    # that are left; or nothing
    full, part = 0.01**2, 0.01 * 0.99 + 0.98 * 0.5 + 0.01 * (0.01 / 0.99)
    nothing = 1 - full - part
    expected = sum(1 - (1 - p) ** 8 for p in (full, part, nothing))
    assert found["distinct@8_unsolved"] == pytest.approx(expected)
    assert (found["history"], found["frozen"], found["unsolved_questions"]) == (0, 0, 1)
    # three outcomes, at best each as likely
    low, high = run.bounds()["distinct@8_unsolved"]
    assert (low, high) == (1, pytest.approx(3 * (1 - (2 / 3) ** 8)))
    assert run.bounds()["pass@1"] == (0, pytest.approx(2 / 3))


def test_history_counts_what_training_saw_and_not_what_a_checkpoint_would_see():
    cell = next(
        TableCell.from_config(cell.config) for cell in EXPERIMENT.cells("smoke", 1) if cell.config["arm"] == "batch"
    )
    found = EXPERIMENT.run_cell(next(c for c in EXPERIMENT.cells("smoke", 1) if c.key.endswith(cell.key)), Path())
    last = found["checkpoints"]["4"]
    # 4 steps of 32 of 64 questions: two epochs of 8 episodes
    assert 1 <= last["history"] <= found["bounds"]["history"][1]
    assert last["history"] == pytest.approx(last["frozen"], abs=0.3)
    first = found["checkpoints"]["0"]
    assert (first["history"], first["history_solved_share"]) == (0, 0)
    assert last["frozen_solved_share"] >= found["checkpoints"]["2"]["frozen_solved_share"]


# The experiment


def test_claims_are_those_of_t2_t3_and_t4_and_their_arms_exist():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids)
    for one in CONTRASTS:
        assert one.arm in EXPERIMENT.arms
        if one.policy == "tabular":
            assert one.arm in EXPERIMENT.arms_of[one.condition]
            assert one.measure in MEASURES
        else:
            assert one.condition == Condition.of(LANGUAGE) and one.measure in EXPERIMENT.language_measures
    assert EXPERIMENT.arms["ucb_con"].objective.format("0.2") == "ucb_con:weight=0.2,key=evidence,offset=0.5"
    assert EXPERIMENT.arms["batch"].strengths == (0.1, 0.2, 0.4)


def test_claims_were_committed_before_any_result():
    check_claims_came_first("outcome_exploration")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("outcome_exploration")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=18)
    out, report = smoke
    assert list(report["conditions"][NARROW]["arms"]) == [name for name in EXPERIMENT.arms if name != "kl"]
    assert not list(out.glob("*.csv"))


def test_a_relative_difference_is_the_ratio_of_the_cells_minus_one(smoke):
    out, report = smoke
    row = next(row for row in report["verdicts"] if row["claim"]["id"] == "narrow-solved")
    for world, difference in zip(row["worlds"], row["differences"]):
        arm, control = (
            json.loads(
                (
                    out / "cells" / "tabular" / Condition.of(NARROW).slug / name / f"world-{1000 + world}.json"
                ).read_text()
            )
            for name in ("batch-0.2", "grpo-0")
        )
        one, other = (cell["result"]["checkpoints"]["4"]["distinct@8_solved"] for cell in (arm, control))
        assert difference == pytest.approx(one / other - 1, abs=1e-5)


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Published figures beside ours", "Claims and verdicts", "Limits", "Reproduce")
    check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings, nan_ok=False)


def test_the_page_is_regenerated_from_the_committed_report():
    check_committed_page(EXPERIMENT)


def published_cells():
    return published_rows("outcome_exploration")


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)


# A second computation of one number, which shares the World, the draws and nothing else


def trained_by_hand(world, bonus, steps, seed):
    """GRPO plus c times Batch on evidence in plain Python: softmax gradients by their formula, episode by episode."""
    logits = {}
    questions, lr = len(world.table), 128.0

    def table(question, hop, tried):
        return logits.setdefault((question, hop, tried), np.log([0.98, 0.01, 0.01]))

    def chances(question, hop, tried):
        weights = [0.0 if tried >> k & 1 else float(np.exp(v)) for k, v in enumerate(table(question, hop, tried))]
        return [w / sum(weights) for w in weights]

    for step in range(steps):
        epoch, offset = divmod(step, questions // 64)
        asked = np.random.default_rng((seed, 3, epoch)).permutation(questions)[offset * 64 : (offset + 1) * 64]
        draws = np.random.default_rng((seed, 5, step)).random((64 * 8, 2))
        gradients = {}
        for at, question in enumerate(asked.tolist()):
            group = []
            for number in range(8):
                hop, tried, evidence, choices = 0, 0, frozenset(), []
                for turn in range(2):
                    if hop == 2:
                        break
                    p = chances(question, hop, tried)
                    kind = int(np.searchsorted(np.cumsum(p), draws[at * 8 + number, turn] * sum(p), side="right"))
                    choices.append((hop, tried, kind, p))
                    if world.present[question, hop, kind]:
                        evidence, hop, tried = evidence | {(hop, kind)}, hop + 1, 0
                    else:
                        tried |= 1 << kind
                group.append((float(hop == 2), evidence, choices))
            rewards = np.array([won for won, _, _ in group])
            spread = rewards.std(ddof=1)
            for won, evidence, choices in group:
                advantage = (won - rewards.mean()) / (spread + 1e-6)
                if rewards.min() < 1:
                    advantage -= bonus * (sum(other == evidence for _, other, _ in group) - 1) / 8
                for hop, tried, kind, p in choices:
                    push = gradients.setdefault((question, hop, tried), np.zeros(3))
                    push += advantage * (np.eye(3)[kind] - p)
        for place, push in gradients.items():
            logits[place] = table(*place) + lr * push / (64 * 8)
    return chances


def distinct_by_hand(world, chances, question):
    """Expected distinct evidence of 8 episodes: all ways through two queries, one by one."""
    ends = {}

    def go(hop, tried, left, evidence, chance):
        if hop == 2 or not left:
            ends[evidence] = ends.get(evidence, 0.0) + chance
            return
        for kind, p in enumerate(chances(question, hop, tried)):
            if p and world.present[question, hop, kind]:
                go(hop + 1, 0, left - 1, evidence | {(hop, kind)}, chance * p)
            elif p:
                go(hop, tried | 1 << kind, left - 1, evidence, chance * p)

    go(0, 0, 2, frozenset(), 1.0)
    return sum(1 - (1 - p) ** 8 for p in ends.values())


@pytest.mark.slow
def test_a_number_of_the_page_follows_from_a_second_computation():
    published = published_cells()[EXPERIMENT.reproduced]["result"]["checkpoints"]["160"]
    world = training_world(Condition.of(NARROW).world_config(1000, 512), "question")
    chances = trained_by_hand(world, bonus=0.2, steps=160, seed=0)
    found = np.mean([distinct_by_hand(world, chances, question) for question in range(512)])
    assert found == pytest.approx(published["distinct@8"], abs=1e-5)


# Language-model cells


def test_labels_and_outcomes_of_rollouts_are_those_of_a_policy_known_by_hand():
    place = Condition.of("tight/shares-80-10-10/questions=40/own")
    task = make_task("berrypick/World-v0", **place.env_args(1000, 40))
    policy = scripted_policy("shares-1000000-1-1")  # always kind 0
    config = {"label_rollouts": 16, "seed": 0, "samples": 16}
    labels = label_questions(policy, task, config)
    world = KindWorld.of(task.split("train"), "question")
    first = world.present[:, :, 0].all(1)
    assert labels["solved"] == np.flatnonzero(first).tolist()
    assert labels["unsolved"] == np.flatnonzero(world.present.any(2).all(1) & ~first).tolist()
    questions = [task.split("train")[at] for at in labels["solved"]]
    assert outcome_values(policy, task, questions, config) == pytest.approx(
        {"distinct@8": 1, "answers@8": 1, "pass@1": 1, "searches": 2}
    )
    assert outcome_values(policy, task, [], config) == {}


def test_a_world_of_language_models_is_shared_by_its_arms_and_no_more_than_eight_are_run():
    cells = [cell for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("language/")]
    assert len(cells) == 24 and len({cell.key for cell in cells}) == 24
    assert [cell.config["world_seed"] for cell in cells[:4]] == [1000, 1000, 1000, 1001]
    assert not [cell for cell in EXPERIMENT.cells("small", 24) if cell.key.startswith("language/")]
    assert isinstance(EXPERIMENT.language, TransferGrid)


def test_a_demonstrator_draws_kinds_in_its_shares_and_a_wrong_one_is_one_line():
    place = Condition.of("tight/shares-80-10-10/questions=100/own")
    task = make_task("berrypick/World-v0", **place.env_args(1000, 100))
    values = outcome_values(scripted_policy("shares-80-10-10"), task, task.split("train"), {"samples": 16, "seed": 0})
    world = KindWorld.of(task.split("train"), "question")
    expected = np.prod(world.present @ np.array([0.8, 0.1, 0.1]), axis=1).mean()
    assert values["pass@1"] == pytest.approx(expected, abs=0.04)
    with pytest.raises(BerrypickError, match="above 0 for each kind"):
        scripted_policy("shares-0-1")
    with pytest.raises(BerrypickError, match="2 shares, the World 3 kinds"):
        outcome_values(scripted_policy("shares-1-1"), task, task.split("train")[:1], {"samples": 1, "seed": 0})


def test_many_kinds_have_six():
    assert len(Condition.of(MANY).world_config().availability) == len(Condition.of(MANY).shares) == 6
