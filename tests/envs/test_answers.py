"""Answers compared by the rules of SQuAD, HotpotQA and MuSiQue."""

from __future__ import annotations

import json
import re
import string
from collections import Counter

import pytest
from berrypick.envs.answers import SCORINGS, check_scoring, exact_match, f1, normalize, sub_exact_match
from berrypick.retrieval_index.errors import UnknownNameError
from hypothesis import example, given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Beatles!", "beatles"),
        ("an A-ha the", "aha"),
        ("  U.S.A. ", "usa"),
        ("theatre", "theatre"),
        ("a\nb", "b"),
        ("Ärger", "ärger"),
        ("the", ""),
    ],
)
def test_normalisation_drops_case_punctuation_articles_and_spare_space(text, expected):
    assert normalize(text) == expected


def test_hand_values():
    assert exact_match("The Eiffel Tower.", ["eiffel tower"]) == 1
    assert exact_match("tower", ["eiffel tower", "la tour"]) == 0
    assert sub_exact_match("it is the Eiffel Tower of Paris", ["Eiffel tower"]) == 1
    assert sub_exact_match("anything", ["the"]) == 0
    assert sub_exact_match("A", ["the"]) == exact_match("A", ["the"]) == f1("A", ["the"]) == 1
    assert f1("big red dog", ["red dog"]) == pytest.approx(0.8)
    assert f1("red red", ["red dog", "cat"]) == pytest.approx(0.5)
    assert f1("yes it is", ["yes"]) == 0
    assert f1("no", ["no"]) == 1
    assert f1("anything", []) == 0


CHINESE = "在湖边煮了一碗面"


@pytest.mark.parametrize(
    ("said", "gold", "em", "score"),
    [
        (f"《{CHINESE}》", CHINESE, 1, 1),
        (f"{CHINESE}。", CHINESE, 1, 1),
        (f"{CHINESE}吧", CHINESE, 0, 16 / 17),
        ("１９９１年", "1991年", 1, 1),
        ("東京タワー", "東京 タワー！", 1, 1),
        ("「ガ」", "ガ", 1, 1),  # one kana with a mark of its own, or two characters
        ("¿Dónde?", "dónde", 1, 1),
        ("The Eiffel Tower.", "eiffel tower", 1, 1),
        ("서울 타워", "서울", 0, 2 / 3),
    ],
)
def test_multilingual_scoring_by_hand(said, gold, em, score):
    assert exact_match(said, [gold], "multilingual") == em
    assert f1(said, [gold], "multilingual") == pytest.approx(score)
    assert sub_exact_match(said, [gold], "multilingual") == 1


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=30))
def test_scorings_differ_in_nothing_on_ascii(text):
    assert normalize(text, "multilingual") == normalize(text)


@given(
    st.lists(st.sampled_from(["the", "A", ".", "東", "京。", "x", "《", "é", "yes"]), max_size=4).map("".join),
    st.data(),
)
@pytest.mark.parametrize("scoring", ["english", "multilingual"])
def test_a_substring_match_is_never_below_an_exact_one(scoring, said, data):
    gold = data.draw(st.sampled_from([said, said.upper(), "the", ".", "", "x y"]))
    exact, sub, score = (grade(said, [gold], scoring) for grade in (exact_match, sub_exact_match, f1))
    assert exact <= sub and exact <= score <= 1


def official_normalize(text):
    """normalize_answer of hotpot_evaluate_v1.py, as published: lower, punctuation, articles, space."""
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def official_hotpot_f1(prediction, truth):
    got, wanted = official_normalize(prediction), official_normalize(truth)
    if got in ("yes", "no", "noanswer") and got != wanted:
        return 0.0
    if wanted in ("yes", "no", "noanswer") and got != wanted:
        return 0.0
    shared = sum((Counter(got.split()) & Counter(wanted.split())).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(got.split()), shared / len(wanted.split())
    return 2 * precision * recall / (precision + recall)


def official_musique_f1(prediction, truth):
    got, wanted = official_normalize(prediction).split(), official_normalize(truth).split()
    if not got or not wanted:
        return float(got == wanted)
    shared = sum((Counter(got) & Counter(wanted)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(got), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)


WORDS = [
    "the", "a", "an", "The", "A.", "yes", "no", "noanswer", "Yes.", "¡no!", "no-answer", "“naïve”", "naïve", "U.S.",
    "it's", "don’t", "dont", "—", "-", "_", "東京", "x", "y", "10,000", "10000", "Ärger", "İ", "ß", "ⅷ", "\u00a0",
    "theatre", "a.n",
]  # fmt: skip
ANSWERS = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)


@given(ANSWERS, ANSWERS)
@settings(max_examples=600, deadline=None)
@example("yes", "yes it is")
@example("noanswer", "no answer")
@example("the a", "An")
@example("“naïve”", "naïve")
@example("a.n", "an")
def test_scores_agree_with_the_official_rules_on_articles_closed_answers_and_unicode(said, truth):
    got, wanted = official_normalize(said), official_normalize(truth)
    assert normalize(said) == got and exact_match(said, [truth]) == float(got == wanted)
    score, closed = f1(said, [truth]), {"yes", "no", "noanswer"}
    if got or wanted:
        assert score == official_hotpot_f1(said, truth)
    if not {got, wanted} & closed:
        assert score == official_musique_f1(said, truth)


@pytest.mark.parametrize(("name", "official"), [("hotpotqa", official_hotpot_f1), ("musique", official_musique_f1)])
def test_scores_agree_with_the_official_rules_on_the_real_questions(shared_data, name, official):
    rows = [json.loads(line) for line in (shared_data / name / "questions.jsonl").open()]
    rows = [row for row in rows if name == "hotpotqa" or row["golden_answers"][0].lower() not in ("yes", "no")]
    answers = [row["golden_answers"] for row in rows]
    predictions = [texts[0] for texts in answers]
    variants = [
        predictions,
        predictions[1:] + predictions[:1],
        [f"The {text.upper()}, in short" for text in predictions],
        [" ".join(text.split()[:2]) for text in predictions],
    ]
    for guesses in variants:
        for guess, accepted in zip(guesses, answers):
            if name == "musique" and official_normalize(guess) in ("yes", "no"):
                continue
            assert f1(guess, accepted) == pytest.approx(max(official(guess, truth) for truth in accepted))
            matched = any(official_normalize(guess) == official_normalize(truth) for truth in accepted)
            assert exact_match(guess, accepted) == float(matched)


@pytest.mark.parametrize("name", ["french", 3, ["english"], None])
def test_an_unknown_scoring_is_refused(name):
    with pytest.raises(UnknownNameError, match="scoring"):
        check_scoring(name)


def test_the_scorings_that_there_are():
    assert [check_scoring(name) for name in SCORINGS] == ["english", "multilingual"]
