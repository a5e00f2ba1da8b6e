"""Runs of the tabular policy: what its groups say, what terms do to it, and the directions of T1 to T3."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from berrypick.envs.questions import Question
from berrypick.envs.world.frontier import (
    best_order,
    order_success,
    pass_at_1,
    pass_at_k,
    question_table,
    uniform_orders,
)
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.policies.tabular import (
    KindWorld,
    TabularConfig,
    TabularRun,
    exact_values,
    kind_probabilities,
    play,
    train_tabular,
)
from berrypick.policies.tabular.groups import groups_of_table
from berrypick.policies.tabular.training import Batch, TableConfig, train_table
from berrypick.policies.tabular.values import RowTable
from berrypick.retrieval_index.errors import BerrypickError


@cache
def questions(preset: str, **changes: int) -> tuple[Question, ...]:
    return build_world(WorldConfig.from_preset(preset, num_train=40, num_test=1, **changes)).questions("train")


@pytest.mark.parametrize("tables", ["shared", "question"])
@pytest.mark.parametrize("preset", ["priced", "slack", "steep"])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_values_of_uniform_and_of_best_order_are_the_frontier_modules(preset: str, hops: int, tables: str) -> None:
    asked = questions(preset, hops=hops)
    world, table = KindWorld.of(asked, tables), question_table(asked)
    falling = np.array([0.0, -1000, -2000])  # ledger first, by falling availability
    for row, orders in (
        (np.zeros(3), uniform_orders(3)),
        (falling, best_order(asked[0].metadata["world"]["availability"])),
    ):
        chances = kind_probabilities(np.broadcast_to(row, world.table_shape))
        found, _ = exact_values(RowTable.of(world), chances, world.budget, (1, 4, 8))
        success = order_success(table, orders, world.budget)
        assert found["pass@1"] == pytest.approx(pass_at_1(table, success), abs=1e-12)
        for k in (4, 8):
            assert found[f"pass@{k}"] == pytest.approx(pass_at_k(table, success, k), abs=1e-12)


def test_kinds_are_drawn_from_the_softmax_of_each_questions_own_table() -> None:
    world = KindWorld.of(questions("priced"), "question")
    assert world.table_shape[0] == 40
    logits = np.random.default_rng(0).normal(size=world.table_shape)
    asked = np.repeat(np.arange(3), 20_000)
    played = play(world, kind_probabilities(logits), asked, np.random.default_rng(1).random((60_000, world.budget)))
    for question in range(3):
        shares = np.bincount(played.kinds[asked == question, 0], minlength=3) / 20_000
        p = torch.softmax(torch.from_numpy(logits[question, 0, 0, world.budget]), -1).numpy()
        assert shares == pytest.approx(p, abs=0.015)


def first_batch(world: KindWorld) -> Batch:
    seen = []

    def loss(batch: Batch) -> torch.Tensor:
        seen.append(batch)
        return batch.log_probs * 0

    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    train_table(logits, world, loss, TableConfig(steps=1, checkpoints=(), questions_per_step=8), seed=9)
    return seen[0]


def test_groups_say_what_was_asked_and_found() -> None:
    asked = questions("priced")
    batch = first_batch(KindWorld.of(asked))
    groups = groups_of_table(batch)
    hops = 2
    for q, question in enumerate(batch.questions):
        world = asked[question].metadata["world"]
        for g in range(groups.size):
            hop = 0
            for query in groups.queries[q][g]:
                kind, relation, entity = query.split(" ", 2)
                assert relation == world["relations"][hop]
                assert entity == world["entities"][hop]
                hop += world["kinds"].index(kind) in world["present"][hop]
            assert float(groups.rewards[q, g]) == float(hop == hops)
    assert len(groups.queries) == 8


@cache
def trained(objective: str, seed: int = 0, steps: int = 200) -> TabularRun:
    return train_tabular(TabularConfig(objective, seed=seed, steps=steps))


def test_a_run_follows_from_its_configuration() -> None:
    config = TabularConfig("darling", steps=5, checkpoints=(2,))
    first, second = train_tabular(config), train_tabular(config)
    assert first.checkpoints == second.checkpoints
    assert list(first.checkpoints) == [0, 2, 5]
    assert np.array_equal(first.logits, second.logits)
    assert first.rewards != train_tabular(TabularConfig("darling", steps=5, seed=1)).rewards


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"questions_per_step": 0}, "questions_per_step must be at least 1, got 0"),
        ({"group_size": 0}, "group_size must be at least 1, got 0"),
        ({"steps": -1}, "steps must be at least 0, got -1"),
        ({"ks": ()}, "each k of ks must be at least 1"),
        ({"ks": (0, 8)}, "each k of ks must be at least 1"),
        ({"checkpoints": (-1,)}, "each of checkpoints must be at least 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be at least 0"),
        ({"seed": -1}, "a seed must be a whole number from 0"),
        ({"tables": "one"}, '"question" or "shared"'),
    ],
)
def test_numbers_that_no_run_can_have_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BerrypickError, match=says):
        TabularConfig(**options)


def test_a_table_without_rollouts_is_refused() -> None:
    for name in ("questions_per_step", "group_size", "epochs"):
        with pytest.raises(BerrypickError, match=f"{name} must be at least 1"):
            TableConfig(**{name: 0})
    with pytest.raises(BerrypickError, match="sft_steps must be at least 0"):
        TableConfig(sft_steps=-1)


def test_tables_of_their_own_let_training_questions_be_known_by_heart() -> None:
    world = {"num_train": 16}
    run = train_tabular(TabularConfig("dr_grpo", tables="question", world=world, steps=150, learning_rate=20.0))
    assert run.last["pass@1"] > run.first["pass@1"] + 0.15
    assert run.last["kind_information"] > 0.2  # which kind is tried depends on the question


def test_the_gradient_of_grpo_prefers_the_kind_that_is_there_more_often() -> None:
    run = trained("grpo")
    chances = kind_probabilities(run.logits)[0, :, 0]  # nothing tried yet, by hop and queries left
    assert (chances[0, 3, 0] > chances[0, 3, 2]).all()
    assert (chances[1, 2, 0] > chances[1, 2, 2]).all()


def test_t1_grpo_buys_pass_at_1_with_pass_at_8_and_entropy() -> None:
    run = trained("grpo")
    assert run.last["pass@1"] >= run.first["pass@1"] + 0.05
    assert run.last["pass@8"] < run.first["pass@8"] - 0.02
    assert run.last["kind_entropy"] < 0.8 * run.first["kind_entropy"]
    assert run.last["breadth"] < run.first["breadth"]


def test_an_entropy_bonus_and_a_reference_hold_the_policy_back() -> None:
    plain = trained("grpo").last["kind_entropy"]
    for objective in ("entropy:coefficient=0.1", "kl:beta=0.1", "kl_k1:beta=0.1"):
        assert trained(objective).last["kind_entropy"] > plain + 0.05, objective


@pytest.mark.slow
def test_t2_batch_keeps_breadth_at_little_pass_at_1() -> None:
    runs = {name: [trained(name, seed).last for seed in range(5)] for name in ("grpo", "batch:weight=0.5,key=evidence")}
    grpo, batch = runs.values()
    assert np.mean([b["breadth"] for b in batch]) > np.mean([g["breadth"] for g in grpo])
    assert np.mean([b["pass@8"] for b in batch]) > np.mean([g["pass@8"] for g in grpo])
    assert np.mean([g["pass@1"] for g in grpo]) - np.mean([b["pass@1"] for b in batch]) <= 0.02


@pytest.mark.slow
def test_t3_history_discovers_more_than_grpo_and_batch_stays_more_diverse_than_history() -> None:
    names = ("grpo", "ucb_con:weight=1,key=evidence", "batch:weight=1,key=evidence")
    grpo, history, batch = ([trained(name, seed) for seed in range(5)] for name in names)
    assert sum(run.discovered[-1] for run in history) > sum(run.discovered[-1] for run in grpo)
    assert np.mean([run.last["breadth"] for run in batch]) >= np.mean([run.last["breadth"] for run in history])


def test_other_questions_and_tables_are_refused() -> None:
    with pytest.raises(BerrypickError, match="World questions"):
        KindWorld.of([Question("q", "who ?", ("x",))])
    with pytest.raises(BerrypickError, match="tables must be"):
        train_tabular(TabularConfig(tables="all"))
