"""Rewards of an ended episode."""

from __future__ import annotations

import pytest
from berrypick.envs.rewards import (
    REWARD_SUMMARIES,
    REWARD_TERMS,
    EpisodeFacts,
    evidence_recall,
    hop_hits,
    parse_reward,
    register_reward,
)
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError

PATHS = ((frozenset("ab"), frozenset("c")), (frozenset("x"), frozenset("y"), frozenset("z")))


def facts(**changes):
    given = {
        "prediction": "Paris",
        "answers": ("paris",),
        "evidence": PATHS,
        "shown_ids": frozenset("bxy"),
        "num_queries": 3,
        "num_invalid": 0,
        "num_turns": 4,
    }
    return EpisodeFacts(**(given | changes))


def test_evidence_is_the_best_path_by_hops():
    assert hop_hits(PATHS, frozenset("bxy")) == [[True, False], [True, True, False]]
    assert evidence_recall(PATHS, frozenset("bxy")) == pytest.approx(2 / 3)
    assert evidence_recall((), frozenset("a")) == 0
    assert evidence_recall(((frozenset(), frozenset("a")),), frozenset("a")) == 0.5  # a hop no passage covers


@pytest.mark.parametrize(
    ("term", "changes", "value"),
    [
        ("em", {}, 1), ("em", {"prediction": "London"}, 0), ("em", {"prediction": None}, 0),
        ("f1", {"prediction": "Paris France"}, 2 / 3), ("f1", {"prediction": None}, 0),
        ("sub_em", {"prediction": "in Paris, France"}, 1), ("sub_em", {"prediction": None}, 0),
        ("evidence_recall", {}, 2 / 3), ("all_hops", {}, 0), ("all_hops", {"shown_ids": frozenset("ac")}, 1),
        ("format", {}, 1), ("format", {"num_invalid": 1}, 0), ("format", {"prediction": None}, 0),
        ("queries", {}, 3),
    ],
)  # fmt: skip
def test_each_term_has_its_hand_value(term, changes, value):
    assert REWARD_TERMS[term](facts(**changes)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("em", 1), ("-em", -1), ("em + 0.3*evidence_recall - 0.01*queries", 1 + 0.2 - 0.03),
        ("  .5*em+2. * em ", 2.5), ("em-1e-2*queries", 0.97), ("0*em", 0),
    ],
)  # fmt: skip
def test_a_sum_of_terms_adds_up(spec, value):
    assert parse_reward(spec)(facts()) == pytest.approx(value)


@pytest.mark.parametrize("spec", ["", " ", "em +", "em em", "2em", "em*2", "em + (f1)", "em;f1", "0.1*"])
def test_what_is_no_sum_is_refused(spec):
    with pytest.raises(BerrypickError, match="is not a sum of terms"):
        parse_reward(spec)


def test_an_unknown_term_names_the_nearest_and_another_type_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean evidence_recall"):
        parse_reward("em + evidence_recal")
    with pytest.raises(BerrypickError, match="must be a text"):
        parse_reward(1.0)
    with pytest.raises(BerrypickError, match="not finite"):
        parse_reward("em + 1e999*f1")


def test_paths_without_a_hop_are_no_evidence():
    assert evidence_recall(((),), frozenset("a")) == 0 and evidence_recall(((), (frozenset("a"),)), frozenset("a")) == 1
    for paths, value in ((((),), 0), (((), (frozenset("a"),)), 1)):
        assert REWARD_TERMS["all_hops"](facts(evidence=paths, shown_ids=frozenset("a"))) == value


def test_a_term_without_a_weight_counts_once():
    assert parse_reward("em + f1 - queries")(facts()) == -1
    assert parse_reward("em + f1").weights == (("em", 1.0), ("f1", 1.0))


def test_a_registered_term_has_its_summary_and_is_returned():
    def long_answer(facts):
        return float(len(facts.prediction or "") > 4)

    try:
        assert register_reward("long_answer_9", "whether the answer is long")(long_answer) is long_answer
        assert REWARD_SUMMARIES["long_answer_9"] == "whether the answer is long"
        assert parse_reward("2*long_answer_9")(facts()) == 2
    finally:
        REWARD_TERMS.pop("long_answer_9", None)
        REWARD_SUMMARIES.pop("long_answer_9", None)
    for name in ("9lives", "two words", "a-b", ""):
        with pytest.raises(BerrypickError, match="cannot name a reward term"):
            register_reward(name, "never")(long_answer)


def test_facts_have_no_candidates_and_one_answer_unless_told():
    bare = facts()
    assert (bare.candidates, bare.answers_by_path, bare.scoring) == ((), (), "english")
    assert REWARD_TERMS["answer_recall"](bare) == 0
    assert REWARD_TERMS["answer_recall"](facts(candidates=("x", "The Paris"))) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda: float("nan"), "reward term bad_9 is nan; it must be a finite number"),
        (lambda: "much", r"reward term bad_9 failed with ValueError: could not convert .* \(rewards.py:\d+\)"),
        (lambda: 1 // 0, r"reward term bad_9 failed with ZeroDivisionError: .* \(test_rewards.py:\d+\); fix that"),
        (lambda: 1e308, "the weighted sum of the reward is inf; give its terms smaller weights"),
    ],
)
def test_a_reward_that_is_no_finite_number_stops_at_the_first_episode(value, message):
    try:
        register_reward("bad_9", "a slip")(lambda facts: value())
        with pytest.raises(BerrypickError, match=message):
            parse_reward("2*bad_9")(facts())
    finally:
        REWARD_TERMS.pop("bad_9", None)
        REWARD_SUMMARIES.pop("bad_9", None)
