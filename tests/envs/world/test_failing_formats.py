"""Formats that fail on a share of the records: which, how it reads, what it is worth, and what stays true."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world import closed_voice
from berrypick.envs.world.availability import population_tables
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.failing_formats import FailingFormats, fails
from berrypick.envs.world.frontier import check_supported, fitted_frontier
from berrypick.envs.world.population import population_frontier
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.experiments.measures.arms_report import measure_arms
from berrypick.experiments.runs.evaluation import evaluate
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.scripted import scripted_policy
from berrypick.policies.tabular.runs import TabularConfig, train_tabular
from berrypick.retrieval_index.errors import BerrypickError
from hypothesis import given
from hypothesis import strategies as st

EQUAL_LENGTH = (2, 3, 4)


def task_of(**arguments):
    return make_task(
        "berrypick/World-v0", **{"num_train": 120, "num_validation": 0, "num_test": 0, "world_seed": 5, **arguments}
    )


def asked(task, form):
    """(Query in the format, id of its record, whether that states the fact) of all questions, hops and kinds."""
    for question in task.split("train"):
        facts = WorldFacts.required(question, "a test")
        for hop in range(facts.hops):
            for kind, word in enumerate(facts.kinds):
                query = closed_voice.query_text(word, facts.relations[hop], facts.entities[hop].split("/")[0], form)
                yield query, facts.passages[hop][kind], kind in facts.present[hop]


def without_failures(question):
    """The question as it is in a World without failures."""
    world = {name: value for name, value in question.metadata["world"].items() if name != "format_failures"}
    return dataclasses.replace(question, metadata={**question.metadata, "world": world})


# Which records a format fails on


@given(st.text("0123456789abcdef", min_size=16, max_size=16), st.integers(0, 4), st.floats(0, 1), st.floats(0, 1))
def test_what_fails_at_a_chance_fails_at_every_larger_one(key, form, one, other):
    low, high = sorted((one, other))
    assert fails(key, form, low) <= fails(key, form, high)
    assert not fails(key, form, 0.0) and fails(key, form, 1.0)


def test_a_share_of_all_records_fails_and_formats_fail_on_records_of_their_own():
    keys = [passage.id for passage in build_world(WorldConfig(num_train=1500, num_test=0, num_validation=0)).passages()]
    failed = np.array([[fails(key, form, 0.3) for key in keys] for form in range(2)])
    assert np.abs(failed.mean(1) - 0.3).max() < 4 * math.sqrt(0.21 / len(keys))
    assert abs((failed[0] & failed[1]).mean() - 0.09) < 4 * math.sqrt(0.09 * 0.91 / len(keys))


@pytest.mark.parametrize("arguments", [{}, {"aliases": True}, {"clauses": 2}])
def test_a_failing_format_reads_void_where_it_fails_and_all_else_is_as_before(arguments):
    sound, task = task_of(**arguments), task_of(format_failures="0,0,0.5", **arguments)
    assert task.passages == sound.passages
    assert [without_failures(one) for one in task.split("train")] == list(sound.split("train"))
    assert isinstance(task.searcher, FailingFormats) and task.searcher.index_id != sound.searcher.index_id
    texts = {passage.id: passage.text for passage in task.passages}
    for form in range(len(closed_voice.QUERY_FORMATS)):
        queries, keys, present = zip(*asked(task, form))
        lost = 0
        for before, hits, key, stated in zip(
            sound.searcher.search(queries, 1), task.searcher.search(queries, 1), keys, present
        ):
            ((first,), (now,)) = before, hits
            assert first.id == key and first.score == now.score
            if form != 2 or not fails(key, form, 0.5) or now == first:
                assert now == first
                continue
            lost += stated
            facts = closed_voice.parse_facts(now.text)
            assert all(fact.obj is None for fact in facts)
            assert [f.entity for f in facts] == [f.entity for f in closed_voice.parse_facts(first.text)]
            assert now.id not in texts and len(now.id) == 16
        if form == 2:
            assert abs(lost - sum(present) / 2) < 4 * math.sqrt(sum(present) / 4)


def test_a_query_that_is_in_no_format_never_fails_and_batches_change_nothing():
    task = task_of(format_failures="1,1,1,1,1")
    queries, keys, _ = zip(*asked(task, 0))
    assert [hits[0].id for hits in task.searcher.search([f"{q} please" for q in queries], 1)] == list(keys)
    together = task.searcher.search(queries, 2)
    assert together == [task.searcher.search([query], 2)[0] for query in queries]
    assert task.searcher.search([""], 1) == [[]]
    assert all(fact.obj is None for hits in together for hit in hits for fact in closed_voice.parse_facts(hit.text))
    task.searcher.close()


# What it is worth


@pytest.mark.parametrize("chance", [0.2, 0.5])
def test_to_a_failing_format_the_world_is_one_whose_kinds_are_rarer(chance):
    task = task_of(query_formats="0,0,1", format_failures=f"0,0,{chance}", num_train=1500)
    groups = rollout(
        scripted_policy("random_order"), task.split("train"), task.spec, task.searcher,
        num_samples=2, sampling=Sampling(), seed=0,
    )  # fmt: skip
    means = np.array([np.mean([episode.correct for episode in group]) for group in groups])
    a = np.array([0.6, 0.5, 0.4]) * (1 - chance)
    # one hop, uniform order: the first hit is query j with probability g[j]
    none, pairs = 1 - a, [(0, 1), (0, 2), (1, 2)]
    g = [a.mean(), np.mean([(none[i] * a[j] + none[j] * a[i]) / 2 for i, j in pairs])]
    assert means.mean() == pytest.approx(g[0] ** 2 + 2 * g[0] * g[1], abs=4 * means.std() / math.sqrt(len(means)))


def test_no_frontier_is_claimed_for_formats_that_fail():
    config = WorldConfig(format_failures=(0.5,))
    with pytest.raises(BerrypickError, match="no query format may fail"):
        population_frontier(config, 8)
    task = task_of(format_failures="0.5")
    with pytest.raises(BerrypickError, match="no query format may fail"):
        check_supported(task.spec, task.world)
    with pytest.raises(BerrypickError, match="no query format may fail"):
        population_tables(config)
    with pytest.raises(BerrypickError, match="no query format may fail"):
        fitted_frontier(task.split("train"), 3, 8)
    with pytest.raises(BerrypickError, match="leave out format_failures"):
        train_tabular(TabularConfig(world={"format_failures": (0.5,)}))
    assert not WorldConfig(format_failures=(0.0, 0.0)).has_failures
    assert not isinstance(task_of(format_failures="0,0").searcher, FailingFormats)


# The formats themselves, and wrong settings


def test_three_formats_have_equal_numbers_of_words_and_tokens_and_end_in_the_kind():
    from berrypick.policies.language.tiny import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    for query, *_ in asked(task_of(num_train=20), 0):
        kind, relation, entity = query.split()
        texts = [closed_voice.query_text(kind, relation, entity, form) for form in EQUAL_LENGTH]
        assert {text.split()[-1] for text in texts} == {kind} and {len(text.split()) for text in texts} == {4}
        assert len({len(tokenizer.encode(f" {text} ", add_special_tokens=False)) for text in texts}) == 1
        assert [closed_voice.query_format(text) for text in texts] == list(EQUAL_LENGTH)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format_failures": "1.5"}, "must lie between 0 and 1"),
        ({"format_failures": "0,0,0,0,0,1"}, "at most 5"),
        ({"format_failures": "half"}, "joined by commas"),
        ({"format_failures": "0.5", "voice": "english"}, "closed voice only"),
    ],
)
def test_wrong_failures_are_one_line(arguments, message):
    with pytest.raises(BerrypickError, match=message) as error:
        task_of(**arguments)
    assert "\n" not in str(error.value)


def test_a_failure_does_not_depend_on_the_shares_of_formats():
    base = WorldConfig(num_train=20, num_validation=0, num_test=0)
    other = dataclasses.replace(base, format_failures=(0.5, 0.1))
    assert build_world(base).passages() == build_world(other).passages()


def test_questions_say_that_formats_fail_and_reports_on_them_have_no_frontier():
    """Exact values know no failing format; questions of other Worlds are written as before."""
    shares = {"query_formats": "0,0,0.5,0.5"}
    sound, failing = task_of(**shares), task_of(**shares, format_failures="0,0,0.5")
    assert "format_failures" not in sound.split("train")[0].metadata["world"]
    assert WorldFacts.required(failing.split("train")[0], "a test").format_failures == (0, 0, 0.5)
    reports = [
        measure_arms(
            {
                "best": evaluate(
                    scripted_policy("best_order"),
                    task,
                    split="train",
                    num_questions=4,
                    num_samples=1,
                    sampling=Sampling(),
                    seed=0,
                )
            }
        )
        for task in (sound, failing)
    ]
    assert "frontier" in reports[0]
    assert "no query format may fail" in reports[1]["no_frontier"]
