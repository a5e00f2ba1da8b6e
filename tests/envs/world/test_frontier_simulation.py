"""Scripted policies on real indexes land on the exact values (world.md, section 2, unit test iv)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world.frontier import ceiling, order_success, pass_at_1, pass_at_k, question_table, uniform_orders
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.scripted import scripted_policy

SAMPLES = 4
INDEXES = ["bm25s", pytest.param("lucene", marks=pytest.mark.lucene)]


@pytest.fixture(scope="module", params=INDEXES)
def index(request):
    return request.param


def correct(task, questions, policy):
    groups = rollout(
        scripted_policy(policy),
        questions,
        task.spec,
        task.searcher,
        num_samples=1 if policy in ("best_order", "oracle") else SAMPLES,
        sampling=Sampling(),
        seed=1,
    )
    return np.array([[episode.correct for episode in group] for group in groups], np.float64)


@pytest.mark.parametrize("preset", ["free", "priced", "steep"])
@pytest.mark.slow
def test_random_order_lands_within_three_standard_errors_of_the_exact_values(index, preset):
    task = make_task("berrypick/World-v0", preset=preset, index=index)
    questions = task.split("test")
    success = correct(task, questions, "random_order")
    table = question_table(questions)
    exact = order_success(table, uniform_orders(3), task.world.budget)
    by_row = dict(zip(table.rows, exact))
    p = np.array([by_row[tuple(frozenset(s) for s in q.metadata["world"]["present"])] for q in questions])
    error_1 = math.sqrt((p * (1 - p)).sum() / SAMPLES) / len(p)
    assert abs(success.mean() - pass_at_1(table, exact)) <= 3 * error_1
    any_hit = 1 - (1 - p) ** SAMPLES
    error_k = math.sqrt((any_hit * (1 - any_hit)).sum()) / len(p)
    assert abs(success.max(axis=1).mean() - pass_at_k(table, exact, SAMPLES)) <= 3 * error_k


@pytest.mark.parametrize("preset", ["slack", "priced", "steep"])
def test_best_order_and_oracle_score_exactly_what_their_questions_hold(index, preset):
    task = make_task("berrypick/World-v0", preset=preset, index=index, num_test=256)
    questions = task.split("test")
    order = tuple(sorted(range(3), key=lambda kind: -task.world.availability[kind]))
    table = question_table(questions)
    assert correct(task, questions, "best_order").mean() == pytest.approx(
        pass_at_1(table, order_success(table, {order: 1.0}, task.world.budget))
    )
    assert correct(task, questions, "oracle").mean() == pytest.approx(ceiling(table))


@pytest.mark.parametrize(
    ("hops", "budget", "preset"), [(1, 2, "free"), (3, 5, "priced"), (4, 7, "slack"), (2, 2, "steep")]
)
@pytest.mark.slow
def test_other_depths_and_budgets_agree_with_simulation(index, hops, budget, preset):
    task = make_task(
        "berrypick/World-v0", preset=preset, index=index, hops=hops, budget=budget, num_train=0, num_test=300
    )
    questions = task.split("test")
    success = correct(task, questions, "random_order")
    table = question_table(questions)
    exact = order_success(table, uniform_orders(3), budget)
    error = math.sqrt(float(table.weights @ (exact * (1 - exact))) / (SAMPLES * len(questions)))
    assert abs(success.mean() - pass_at_1(table, exact)) <= 3 * max(error, 1e-9)
