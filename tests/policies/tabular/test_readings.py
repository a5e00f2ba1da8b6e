"""Readings of kind probabilities: pooled by state, their information about the question, and their encoding."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick import BerrypickError
from berrypick.policies.tabular.histories import State
from berrypick.policies.tabular.readings import (
    KindReading,
    decode_questions,
    decode_states,
    encode_questions,
    encode_states,
    outside_share,
    pool,
    state_information,
)

MISSED = State().after(0, hit=False)


def reading(question, masses, state=None):
    return KindReading(question, state or State(), np.array(masses), None)


def test_probabilities_are_renormalised_over_untried_kinds_and_the_rest_is_outside():
    one = reading("q", [0.5, 0.3, 0.1], MISSED)
    assert one.chances == pytest.approx([0, 0.75, 0.25])
    assert one.outside == pytest.approx(0.6)
    assert reading("q", [0.5, 0.0, 0.0], MISSED).chances == pytest.approx([0, 0.5, 0.5])


def test_a_state_has_the_mean_over_its_visits():
    table = pool([reading("a", [0.8, 0.1, 0.1]), reading("b", [0.2, 0.7, 0.1]), reading("a", [0.2, 0.4, 0.4], MISSED)])
    assert table.probabilities[State()] == pytest.approx([0.5, 0.4, 0.1])
    assert table.visits == {State(): 2, MISSED: 1}
    with pytest.raises(BerrypickError, match="no episode begins with a search"):
        pool([])


def test_information_is_ln_2_for_two_opposite_questions_and_0_for_equal_ones():
    opposite = [reading("a", [1, 0, 0]), reading("b", [0, 1, 0])]
    assert state_information(opposite) == pytest.approx(np.log(2))
    # a state with one question says nothing; states are weighted by visits
    assert state_information([*opposite, reading("a", [0, 0.5, 0.5], MISSED)]) == pytest.approx(np.log(2) * 2 / 3)
    assert state_information([reading(name, [0.6, 0.3, 0.1]) for name in "ab"]) == pytest.approx(0, abs=1e-12)
    assert outside_share([reading("a", [0.6, 0.3, 0.0]), reading("b", [0.6, 0.3, 0.1])]) == pytest.approx(0.05)


def test_tables_survive_their_encodings():
    readings = [reading("a", [0.8, 0.1, 0.1]), reading("b", [0.2, 0.7, 0.1]), reading("b", [0.2, 0.4, 0.4], MISSED)]
    table = pool(readings)
    rows = encode_states(table)
    assert list(rows) == [":", ":0-"]
    assert rows[":"] == [2, 0.5, 0.4, 0.1]
    again = decode_states(rows)
    assert again.visits == table.visits
    for state, chances in table.probabilities.items():
        assert again.probabilities[state] == pytest.approx(chances, abs=1e-6)
    questions = decode_questions(encode_questions(readings))
    assert set(questions) == {"a", "b"}
    assert questions["b"].probabilities[MISSED] == pytest.approx([0, 0.5, 0.5], abs=1e-4)
    assert questions["b"].visits == {State(): 1, MISSED: 1}
    with pytest.raises(BerrypickError, match="no tables of questions"):
        decode_questions("nothing")
