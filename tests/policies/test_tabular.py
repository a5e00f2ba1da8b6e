"""The tabular policy: its exact measures against the frontier module and simulation; the directions of T1 to T3."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from berrypick.envs.frontier import best_order, order_success, pass_at_1, pass_at_k, question_table, uniform_orders
from berrypick.envs.questions import Question
from berrypick.envs.world import WorldConfig, build_world
from berrypick.policies.tabular import TabularConfig, TabularRun, TabularTask, measure, train_tabular
from berrypick.policies.tabular_rollout import choice_log_probs, play, tabular_groups
from berrypick.retrieval_index.errors import BerrypickError

KS = (1, 4, 8)


@cache
def questions(preset: str, **changes: int) -> tuple[Question, ...]:
    return build_world(WorldConfig.from_preset(preset, num_train=40, num_test=1, **changes)).questions("train")


@pytest.mark.parametrize("preset", ["priced", "slack", "steep"])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_measures_of_uniform_and_of_best_order_are_the_frontier_modules(preset: str, hops: int) -> None:
    asked = questions(preset, hops=hops)
    task, table = TabularTask.of(asked), question_table(asked)
    ascending = np.array([0.0, -1000, -2000])  # ledger first, by falling availability
    for logits, orders in (
        (np.zeros(3), uniform_orders(3)),
        (ascending, best_order(asked[0].metadata["world"]["availability"])),
    ):
        found = measure(np.broadcast_to(logits, (1, hops, 3)), task, KS, 0)
        success = order_success(table, orders, task.budget)
        assert found.pass_at[1] == pytest.approx(pass_at_1(table, success), abs=1e-12)
        for k in KS[1:]:
            assert found.pass_at[k] == pytest.approx(pass_at_k(table, success, k), abs=1e-12)
    assert measure(np.zeros((1, hops, 3)), task, KS, 0).kind_entropy == pytest.approx(np.log(3))


def test_measures_are_what_simulated_episodes_average_to() -> None:
    task = TabularTask.of(questions("priced"))
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(task.num_questions, 2, 3))
    size, chosen = 4000, np.arange(task.num_questions)
    episodes = play(task, chosen, logits, size, generator)
    exact = measure(logits, task, (1, 2), 0)
    success = episodes.rewards.mean(1)
    noise = np.sqrt((success * (1 - success) / size).sum()) / task.num_questions
    assert success.mean() == pytest.approx(exact.pass_at[1], abs=4 * noise)
    assert len(episodes.kind) / episodes.rewards.size == pytest.approx(exact.queries, abs=0.02)
    hit = task.present[episodes.question, episodes.hop, episodes.kind]
    found = np.zeros((task.num_questions, size, 2, 3), bool)
    found[episodes.question[hit], episodes.rollout[hit], episodes.hop[hit], episodes.kind[hit]] = True
    pairs = found[:, ::2] | found[:, 1::2]
    whole = task.present.any(-1).all(-1)
    union = pairs.sum((2, 3)).mean(1)[whole] / task.present.sum((1, 2))[whole]
    assert union.mean() == pytest.approx(exact.breadth, abs=0.01)


def test_choices_are_drawn_from_the_softmax_over_untried_kinds() -> None:
    task = TabularTask.of(questions("priced"))
    logits = torch.tensor([[[0.0, 1.0, -1.0], [0.5, 0.0, 0.0]]], dtype=torch.float64)
    chosen = np.zeros(1, np.int64)
    episodes = play(task, chosen, logits.numpy(), 20_000, np.random.default_rng(1))
    log_probs, entropies = choice_log_probs(logits, chosen, episodes)
    first = (episodes.hop == 0) & ~episodes.tried.any(1)
    shares = np.bincount(episodes.kind[first], minlength=3) / first.sum()
    p = torch.softmax(logits[0, 0], -1).numpy()
    assert shares == pytest.approx(p, abs=0.015)
    assert log_probs.numpy()[first] == pytest.approx(np.log(p[episodes.kind[first]]))
    assert entropies.numpy()[first] == pytest.approx(-(p * np.log(p)).sum())
    assert not episodes.tried[np.arange(len(episodes.kind)), episodes.kind].any()
    again = episodes.tried.sum(1) == 2
    assert log_probs.numpy()[again] == pytest.approx(0)


def test_groups_say_what_was_asked_and_found() -> None:
    asked = questions("priced")
    task, chosen = TabularTask.of(asked), np.array([3, 5])
    episodes = play(task, chosen, np.zeros((2, 2, 3)), 4, np.random.default_rng(2))
    groups = tabular_groups(task, chosen, episodes, seed=9)
    assert groups.question_ids == (asked[3].id, asked[5].id)
    for q, row in enumerate(groups.outcomes["query"]):
        for g, path in enumerate(row):
            hits = {(hop, kind) for hop, kind in path if task.present[chosen[q], hop, kind]}
            assert groups.outcomes["evidence"][q][g] == frozenset(hits)
            assert float(groups.rewards[q, g]) == float(len(hits) == 2) == float(groups.vectors[q, g, 0, -1])
            words = [query.split() for query in groups.queries[q][g]]
            world = asked[chosen[q]].metadata["world"]
            assert [world["kinds"].index(kind) for kind, _, _ in words] == [kind for _, kind in path]
            assert [relation for _, relation, _ in words] == [world["relations"][hop] for hop, _ in path]


@cache
def trained(objective: str, seed: int = 0, tables: str = "shared", steps: int = 200) -> TabularRun:
    return train_tabular(TabularConfig(objective, seed=seed, tables=tables, steps=steps))


def test_a_run_follows_from_its_configuration() -> None:
    config = TabularConfig("darling", steps=5, checkpoints=(2,))
    first, second = train_tabular(config), train_tabular(config)
    assert first.checkpoints == second.checkpoints
    assert [checkpoint.step for checkpoint in first.checkpoints] == [0, 2, 5]
    assert np.array_equal(first.logits, second.logits)
    assert first.rewards != train_tabular(TabularConfig("darling", steps=5, seed=1)).rewards


def test_the_gradient_of_grpo_prefers_the_kind_that_is_there_more_often() -> None:
    logits = trained("grpo").logits
    assert logits.shape == (1, 2, 3)
    assert (logits[..., 0] > logits[..., 2]).all()


def test_t1_grpo_buys_pass_at_1_with_pass_at_8_and_entropy() -> None:
    run = trained("grpo")
    first, last = run.checkpoints[0], run.last
    assert last.pass_at[1] >= first.pass_at[1] + 0.05
    assert last.pass_at[8] < first.pass_at[8] - 0.02
    assert last.kind_entropy < 0.8 * first.kind_entropy
    assert last.breadth < first.breadth


def test_an_entropy_bonus_and_a_reference_hold_the_policy_back() -> None:
    plain = trained("grpo").last.kind_entropy
    for objective in ("entropy:coefficient=0.1", "kl:beta=0.1", "kl_k1:beta=0.1"):
        assert trained(objective).last.kind_entropy > plain + 0.05, objective


@pytest.mark.slow
def test_t2_batch_keeps_breadth_at_little_pass_at_1() -> None:
    runs = {name: [trained(name, seed).last for seed in range(5)] for name in ("grpo", "batch:weight=0.5,key=evidence")}
    grpo, batch = runs.values()
    assert all(b.breadth > g.breadth for b, g in zip(batch, grpo))
    assert all(b.pass_at[8] > g.pass_at[8] for b, g in zip(batch, grpo))
    assert np.mean([g.pass_at[1] for g in grpo]) - np.mean([b.pass_at[1] for b in batch]) <= 0.02


@pytest.mark.slow
def test_t3_history_discovers_more_than_grpo_and_batch_stays_more_diverse_than_history() -> None:
    names = ("grpo", "ucb_con:weight=1,key=evidence", "batch:weight=1,key=evidence")
    grpo, history, batch = ([trained(name, seed) for seed in range(5)] for name in names)
    assert sum(run.discovered[-1] for run in history) > sum(run.discovered[-1] for run in grpo)
    assert np.mean([run.last.breadth for run in batch]) >= np.mean([run.last.breadth for run in history])


def test_other_questions_and_tables_are_refused() -> None:
    with pytest.raises(BerrypickError, match="World questions"):
        TabularTask.of([Question("q", "who ?", ("x",))])
    with pytest.raises(BerrypickError, match="tables must be"):
        train_tabular(TabularConfig(tables="all"))
