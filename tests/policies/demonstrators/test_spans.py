"""Names in text, by hand."""

from __future__ import annotations

import pytest
from berrypick.policies.demonstrators.spans import find_answer, find_mention, names_in, spaces, widened
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("title", "text", "found"),
    [
        ("Amber Road (1990 film)", "Who shot amber road in Riga?", "amber road"),
        ("Peter à Court", "When did Peter À Court's father die?", "Peter À Court"),
        ("Lena Ohm", "a film by Lena Mary Ohm.", "Lena Mary Ohm"),
        ("Prince Andrew, Duke of York", "who served Prince Andrew from 1990?", "Prince Andrew"),
        ("Dirleton Castle (Scotland)", "A fortress in Dirleton, Scotland", None),
        ("Voice (film)", "What type of movie is Voice?", "Voice"),
        ("Voice (film)", "whose voice is it?", None),
        ("Robson &amp; Jerome (album)", "by Robson & Jerome", "Robson & Jerome"),
        ("The Who", "who is it?", None),
        ("The Amber Long Road", "the road that was long, to Amber", None),
    ],
)
def test_a_title_is_found_where_it_is_named(title: str, text: str, found: str | None) -> None:
    span = find_mention(title, text)
    assert (span.text if span else None) == found


@given(st.text(max_size=40), st.text(max_size=80))
def test_a_mention_and_an_answer_are_spans_of_the_text(name: str, text: str) -> None:
    span = find_mention(name, text)
    assert span is None or (spaces(text[span.start : span.end]) == span.text and span.text)
    answer = find_answer(name, text)
    assert answer is None or answer in spaces(text)


@pytest.mark.parametrize(
    ("answer", "text", "found"),
    [
        ("July 1, 1954", "born july 1 1954 in Graz", "july 1 1954"),
        ("11,900", "has 11,900 students", "11,900"),
        ("Ohm", "Ohmic heat", None),
        ("University of Graz", "studied at the University of the Graz.", "University of the Graz"),
        ("...", "what ...", None),
    ],
)
def test_an_answer_is_found_whatever_its_punctuation(answer: str, text: str, found: str | None) -> None:
    assert find_answer(answer, text) == found


def test_a_wider_span_stays_in_its_clause_and_ends_in_content_words() -> None:
    text = "In Riga, the director of the film Amber Road died in the year 1990; who was it?"
    span = find_mention("Amber Road", text)
    assert span is not None
    assert widened(text, span) == "director of the film Amber Road died in the year"
    assert widened("Amber Road's father", find_mention("Amber Road", "Amber Road's father")) == "Amber Road's father"


def test_names_are_what_stands_in_quotes_or_has_capitals() -> None:
    text = 'Which Dutch painter of "the long road" met Lena Mary Ohm of Riga?'
    assert names_in(text) == ["Lena Mary Ohm of Riga", "the long road", "Dutch"]
