"""Price and waste of rollouts over all questions of a World: worked out by hand, and against the exact values."""

from __future__ import annotations

import io

import pytest
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world.config import WorldConfig
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.population import population_frontier
from berrypick.experiments.measures import population_price
from berrypick.experiments.measures.arms_report import measure_arms
from berrypick.experiments.measures.population_price import population_row
from berrypick.experiments.measures.rollout import rollouts_of
from berrypick.experiments.report.html import html_page
from berrypick.experiments.report.population_table import population_sentence
from berrypick.experiments.report.terminal import final_screen
from berrypick.experiments.runs.evaluation import evaluate
from berrypick.policies.open_policy import open_policy
from berrypick.policies.policy import Sampling
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

WORLD = {"kinds": ["ledger", "charter"], "hops": 1, "budget": 1, "passages": [["a", "b"]], "availability": [0.6, 0.3]}


def rollout(name, sample, *searches, **world):
    """A rollout whose queries brought these passages."""
    facts = {**WORLD, "present": [[0]], **world}
    turns = [
        TurnRecord(text="s", action="search", queries=["s"], hits=[[HitRecord(id=found, score=1.0)]])
        for found in searches
    ]
    return EpisodeRecord(
        question=QuestionRecord(id=name, text="?", answers=["x"], metadata={"world": facts}),
        group_id=name,
        sample_index=sample,
        turns=turns,
    )


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(population_price, "NUM_RESAMPLES", 20)


def arm(*found, **world):
    return rollouts_of([rollout("q", at, one, **world) for at, one in enumerate(found)])


def values(row):
    return {key: one["value"] for key, one in row.items()}


def test_one_query_and_two_kinds_by_hand():
    """Share q of kind 0: pass@1 = .3 + .3 q; pass@2 = .18 + .42 (1 - (1 - q)^2) + .12 (1 - q^2), largest at q = 7/9.

    q = 3/4 has the pass@2 of q = 29/36, which has more pass@1; q = 1 is the best order.
    """
    row = population_row({"one": arm(*"aaaa"), "both": arm(*"aaab")}, 2)
    assert values(row["arms"]["one"]) == pytest.approx({"pass@1": 0.6, "pass@2": 0.6, "waste": 0}, abs=2e-5)
    both = {"pass@1": 0.525, "pass@2": 0.62625, "waste": 0.3 * (29 / 36 - 3 / 4)}
    assert values(row["arms"]["both"]) == pytest.approx(both, abs=2e-5)
    price = 0.3 * (29 / 36 - 1)
    change = {"pass@1": -0.075, "pass@2": 0.02625, "price": price, "by_waste": -0.075 - price}
    assert values(row["differences"]["both - one"]) == pytest.approx(change, abs=2e-5)
    assert row["k"] == 2 and row["arms"]["one"]["pass@1"]["n"] == 1


def hinted(found, strength=0.5):
    """One rollout of a question that hints at kind 0, and one of another that hints at kind 1."""
    base = WorldConfig(availability=(0.6, 0.4), budget=1, hops=1, cue=strength)
    played = [
        rollout(f"q{cue}", 0, one, cue=cue, availability=list(base.question_availability(cue)), present=[[0, 1]])
        for cue, one in enumerate(found)
    ]
    return rollouts_of(played)


def test_one_query_and_a_cue_by_hand():
    """With a cue of .5 the kinds have .8 and .2, or .3 and .7: following the cue is right with .75, kind 0 with .55.

    Always the same kind finds no more in two tries, so its waste is .75 - .55.
    """
    row = population_row({"first kind": hinted("aa"), "follows": hinted("ab")}, 2)
    assert values(row["arms"]["follows"]) == pytest.approx({"pass@1": 0.75, "pass@2": 0.75, "waste": 0}, abs=2e-5)
    assert values(row["arms"]["first kind"])["pass@1"] == pytest.approx(0.55)
    assert values(row["differences"]["follows - first kind"])["pass@1"] == pytest.approx(0.2)
    assert values(row["arms"]["first kind"])["waste"] == pytest.approx(0.75 - 0.55, abs=2e-5)


@pytest.mark.parametrize("strength", [0.25, 0.9, 1.0])
def test_the_strength_of_a_cue_is_read_from_the_questions(strength):
    config = WorldConfig.from_preset("priced", cue=strength)
    task = make_task("berrypick/World-v0", preset="priced", cue=strength, num_train=0, num_validation=0, num_test=60)
    found = population_price._config([WorldFacts.required(one, "a test") for one in task.split("test")])
    assert found.cue == strength and found.budget == 3 and found.hops == 2
    for cue in range(3):
        assert found.question_availability(cue) == pytest.approx(config.question_availability(cue))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from("ab"), min_size=2, max_size=6), st.lists(st.sampled_from("ab"), min_size=2, max_size=6))
def test_price_and_waste_add_up_and_no_waste_is_below_zero(first, second):
    row = population_row({"x": arm(*first), "y": arm(*second)}, 2)
    change = values(row["differences"]["y - x"])
    assert change["price"] + change["by_waste"] == pytest.approx(change["pass@1"], abs=1e-12)
    assert all(one["waste"]["value"] >= -3e-5 for one in row["arms"].values())


@pytest.fixture(scope="module")
def scripted():
    """Arms of two scripted policies on 120 questions."""
    task = make_task("berrypick/World-v0", preset="priced", num_train=0, num_validation=0, num_test=120)
    sampling = Sampling(max_new_tokens=32)
    return {
        name: evaluate(
            open_policy(name), task, split="test", num_questions=None, num_samples=8, sampling=sampling, seed=3
        )
        for name in ("best_order", "random_order")
    }


def test_scripted_policies_have_their_exact_values(scripted):
    """Uniform order in `priced`: every untried kind is equally likely at each state."""
    found = measure_arms(scripted)["population"]
    frontier = population_frontier(WorldConfig.from_preset("priced"), 8)
    best = frontier.best_order
    assert values(found["arms"]["best_order"]) == pytest.approx(
        {"pass@1": best.pass_at_1, "pass@8": best.pass_at_k, "waste": 0}, abs=2e-5
    )
    uniform = found["arms"]["random_order"]
    assert uniform["pass@1"]["value"] == pytest.approx(0.504949, abs=0.015)
    assert uniform["pass@8"]["value"] == pytest.approx(0.7685, abs=0.006)
    assert uniform["pass@1"]["low"] < uniform["pass@1"]["value"] < uniform["pass@1"]["high"]


def test_an_evaluation_alone_has_no_price(scripted):
    report = measure_arms({"random_order": scripted["random_order"]})
    assert "population" not in report and "no_population" not in report
    assert population_sentence(report) == ""


def test_the_screen_and_the_page_say_price_and_waste(scripted):
    report = measure_arms({name: scripted[name] for name in ("random_order", "best_order")})
    screen = io.StringIO()
    final_screen(Console(file=screen, width=100), "t", report)
    text = " ".join(screen.getvalue().split())
    change = report["population"]["differences"]["best_order - random_order"]
    points = [f"{100 * change[key]['value']:+.1f}" for key in ("pass@1", "price", "pass@8", "by_waste")]
    more = "more" if change["by_waste"]["value"] < 0 else "less"
    sentence = (
        f"Over all questions of this World that is {points[0]} points at once: {points[1]} are the price of "
        f"{points[2]} in 8 tries, {points[3]} come from {more} waste."
    )
    assert sentence in text and "of it price" in text
    page = html_page({}, report)
    assert "What did the task ask, and what was wasted?" in page and "of it price" in page
    assert "come from" in page
    narrow = io.StringIO()
    final_screen(Console(file=narrow, width=60), "t", report)
    assert "best_order - random_order: pass@1" in " ".join(narrow.getvalue().split())


@pytest.mark.parametrize(
    ("arms", "reason"),
    [
        ({"x": arm("a", cue=0), "y": arm("b", cue=0)}, "these hint at one kind only"),
        ({"x": hinted("aa", strength=0.5), "y": hinted("ab", strength=0.25)}, "Worlds of different shape"),
        ({"x": hinted("aa"), "y": arm("a")}, "Worlds of different shape"),
        ({"x": arm("a"), "y": arm("b", availability=[0.5, 0.5])}, "Worlds of different shape"),
        ({"x": arm("a", availability=[]), "y": arm("b", availability=[])}, "do not say how often"),
        ({"x": arm("a"), "y": arm("elsewhere")}, "a policy never searches"),
    ],
)
def test_reasons_why_there_is_no_price(arms, reason):
    assert reason in population_row(arms, 2)


def test_too_many_courses_are_not_resampled(monkeypatch):
    monkeypatch.setattr(population_price, "MOST_STATES", 0)
    assert "more than 0 different courses" in population_row({"x": arm("a"), "y": arm("b")}, 2)


def test_an_episode_counts_up_to_what_leaves_the_tree():
    """A second hop is reached through a hit; a repeated or foreign passage ends the course."""
    world = {"hops": 2, "budget": 3, "passages": [["a", "b"], ["c", "d"]], "present": [[0], [1]]}
    played = rollouts_of([rollout("q", 0, "a", "c", "d", **world), rollout("q", 1, "b", "b", "a", **world)])
    choices = population_price._Choices.of(played, {"q": WorldFacts.required(played[0].question, "a test")}, 2)
    names = {state.name: counts.tolist() for state, counts in zip(choices.states, choices.counts[0])}
    assert names == {":": [1, 1], ":0+": [1, 0], ":0+0-": [0, 1]}
