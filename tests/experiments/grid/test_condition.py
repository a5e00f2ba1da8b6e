"""Conditions: a name and what it means, there and back; their Worlds; arms are picked with their controls."""

from __future__ import annotations

import pytest
from berrypick import BerrypickError
from berrypick.experiments.grid import Condition, pick_arms
from berrypick.experiments.grid.condition import FIRST_WORLD, MANY_QUESTIONS
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.sampled_from(["priced", "steep-cue", "priced-answers"]),
    st.sampled_from(["diverse", "narrow"]),
    st.integers(1, 10_000),
    st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    st.booleans(),
)
def test_a_condition_is_read_back_from_its_name(preset, start, questions, rate, own):
    condition = Condition(preset, start, questions, rate, own)
    assert Condition.of(condition.name) == condition
    assert not set("/=") & set(condition.slug)


def test_a_name_holds_what_differs_from_the_defaults():
    assert Condition("priced", "diverse").name == "priced/diverse"
    assert Condition("priced", "diverse", 256, 0.3, True).name == "priced/diverse/questions=256/rate=0.3/own"
    assert Condition.of("priced/diverse/own") == Condition("priced", "diverse", MANY_QUESTIONS, 0.0, True)
    assert Condition.of("free/narrow/rate=1").slug == "free-narrow-rate1"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("priced/diverse/questions=many", "'questions=many' is not questions=NUMBER, rate=NUMBER or own"),
        ("priced/diverse/lr=3", "'lr=3' is not questions=NUMBER, rate=NUMBER or own"),
        ("priced/diverse/own=1", "'own=1' is not"),
        ("priced/diverse/", "'' is not"),
        ("priced", "give a preset and a start, such as priced/diverse"),
        ("/diverse", "give a preset and a start"),
    ],
)
def test_a_wrong_name_is_one_line(name, says):
    with pytest.raises(BerrypickError, match="condition") as error:
        Condition.of(name)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_condition_makes_its_world_of_training_questions_alone():
    cue, answers = Condition.of("steep-cue/narrow"), Condition.of("priced-answers/diverse")
    assert (cue.has_cue, cue.has_answers, answers.has_cue, answers.has_answers) == (True, False, False, True)
    config = cue.world_config(1007, 16)
    assert (config.cue, config.seed, config.budget) == (0.8, 1007, 3)
    assert (config.num_train, config.num_validation, config.num_test) == (16, 0, 0)
    assert answers.world_config().num_answers == 3
    six = Condition.of("six/shares-1-1-1-1-1-1")
    assert six.has_answers and not (six.has_frontier or Condition.of("rare/narrow").has_answers)
    assert (six.world_config().num_answers, six.env_args(1000, 4)["num_answers"]) == (6, 6)
    assert Condition("priced", "diverse").world_config().num_train == MANY_QUESTIONS == 4096
    assert Condition("priced", "diverse", 256).world_config().num_train == 256
    assert Condition("priced", "diverse").world_config().seed == FIRST_WORLD
    with pytest.raises(BerrypickError, match=r"did you mean priced"):
        Condition("prised", "diverse").world_config()


def test_only_values_in_the_population_of_one_answer_have_a_frontier():
    names = ("priced/diverse", "priced-cue/narrow", "priced-answers/diverse", "priced/diverse/questions=256/own")
    assert [Condition.of(name).has_frontier for name in names] == [True, True, False, False]


def test_arms_are_picked_with_their_controls_and_unknown_ones_name_the_nearest():
    assert list(pick_arms("darling", "batch")) == ["darling", "batch", "dr_grpo", "grpo"]
    with pytest.raises(BerrypickError, match="did you mean darling"):
        pick_arms("darlin")
