"""How turns are written and read; what holds for every format, and the tags format byte for byte."""

from __future__ import annotations

import re

import pytest
from berrypick.envs.formats.turn_format import (
    Answer,
    Candidate,
    Invalid,
    Search,
    cut_turn,
    get_turn_format,
    turn_format_names,
)
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from berrypick.retrieval_index.searcher import Hit
from hypothesis import given, settings
from hypothesis import strategies as st

TAGS = get_turn_format("tags")
PIECES = [
    "<search>",
    "</search>",
    "<answer>",
    "</answer>",
    "<tool_call>",
    "</tool_call>",
    "<think>",
    " a ",
    "\n",
    "é",
    "[1]",
]
noisy = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=12).map("".join)
formats = pytest.mark.parametrize("turn_format", [get_turn_format(name) for name in turn_format_names()])


@formats
@settings(max_examples=80, deadline=None)
@given(text=noisy)
def test_parsing_never_raises_and_spans_point_at_the_queries(turn_format, text):
    action = turn_format.parse(turn_format.cut(text))
    assert isinstance(action, Search | Answer | Invalid)
    if isinstance(action, Search):
        assert len(action.spans) == len(action.queries) >= 1
        assert all(0 <= start <= end <= len(text) for start, end in action.spans)
    if isinstance(action, Answer):
        assert len(action.candidates) >= 1


@settings(max_examples=150, deadline=None)
@given(text=noisy)
def test_tags_find_the_same_block_as_the_published_regular_expression(text):
    turn = cut_turn(text, TAGS.stop)
    match = re.search(r"<(search|answer)>(.*?)</\1>", turn, re.DOTALL)
    action = TAGS.parse(turn)
    if match is None or not match.group(2).strip():
        assert isinstance(action, Invalid)
    elif match.group(1) == "search":
        assert action == Search((match.group(2).strip(),), action.spans)
        start, end = action.spans[0]
        assert turn[start:end] == match.group(2).strip()
    else:
        assert isinstance(action, Answer) and turn[slice(*action.span)] == match.group(2)


@settings(max_examples=60, deadline=None)
@given(query=st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and "<" not in text))
def test_a_written_query_is_read_back(query):
    assert TAGS.parse(f"<think> hm </think> <search> {query} </search>").queries == (query.strip(),)


def test_what_follows_the_first_stop_is_cut():
    assert TAGS.cut("a <search> x </search> b <answer> y </answer>") == "a <search> x </search>"
    assert TAGS.cut("no tag") == "no tag"


@pytest.mark.parametrize(
    "text",
    ["", "hello", "<search></search>", "<answer> \n </answer>", "<search> open", "</answer>", "<Search>x</Search>"],
)
def test_what_is_no_action_is_invalid(text):
    assert isinstance(TAGS.parse(text), Invalid)


@pytest.mark.parametrize(
    ("line", "text", "cited"),
    [
        ("tovenra [1][4]", "tovenra", (1, 4)), ("tovenra [1] [4]  ", "tovenra", (1, 4)), ("tovenra", "tovenra", ()),
        ("Q [a]", "Q [a]", ()), ("x[12]", "x", (12,)), ("[3]", "[3]", ()), ("a ] b", "a ] b", ()),
        ("y [²]", "y [²]", ()),
        ("z [1234567]", "z [1234567]", ()), ("list [1] of", "list [1] of", ()),
    ],
)  # fmt: skip
def test_citations_end_a_candidate(line, text, cited):
    answer = TAGS.parse(f"<answer>{line}</answer>")
    assert answer.candidates == (Candidate(text, cited),)


def test_several_answers_stand_one_a_line_and_the_first_is_first():
    answer = TAGS.parse("<answer>tovenra [1][4]\n\n miravo [2]\u2028x\n</answer>")
    assert answer.candidates == (Candidate("tovenra", (1, 4)), Candidate("miravo [2]\u2028x", ()))


def test_observation_is_numbered_on_titled_and_closed():
    hits = [[Hit("a", "T", "one", 2.0), Hit("b", "", "two", 1.0)], [Hit("c", "U", "three", 1.0)]]
    search = Search(("q", "r"), ((0, 1), (1, 2)))
    assert TAGS.render(search, hits, 4, None) == (
        "\n<information> [4] (Title: T) one\n[5] two\n[6] (Title: U) three </information>\n"
    )
    assert TAGS.render(search, [[]], 1, None) == "\n<information> no passage found </information>\n"
    assert TAGS.render(Invalid("why"), [], 1, None) == "\n<information> why </information>\n"
    assert TAGS.render(search, [], 1, "no more") == "\n<information> no more </information>\n"


@formats
@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(0, 400), min_size=1, max_size=4), limit=st.integers(100, 600))
def test_a_long_observation_is_cut_to_its_limit_and_keeps_its_end(turn_format, lengths, limit):
    hits = [[Hit(str(i), "T", "w" * n, 0.0) for i, n in enumerate(lengths)]]
    search = Search(("q",), ((0, 1),))
    whole = turn_format.render(search, hits, 1, None)
    cut = turn_format.render(search, hits, 1, None, limit)
    assert len(cut) <= limit or cut == whole
    if turn_format.name == "search_r1":
        assert cut == whole[:limit], "as published: cut bluntly"
    else:
        assert cut.strip()[-12:] == whole.strip()[-12:]
    assert turn_format.render(search, hits, 1, None, len(whole)) == whole


@formats
def test_prompts_name_the_budget_and_the_answers_wanted(turn_format):
    question = Question("q", "Who?", ("x",))
    many = turn_format.prompt(question, EpisodeSpec(turn_format=turn_format.name, search_budget=7, num_answers=3))
    text = "\n".join(message["content"] for message in many)
    assert "Who?" in text
    bare = turn_format.prompt(question, EpisodeSpec(turn_format=turn_format.name, template="bare"))
    assert bare[-1]["content"].strip().endswith("Who?")
    if turn_format.name in ("tags", "tool_call"):
        assert "7 times at most" in text and "3 different answers" in text


def test_an_unknown_format_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean tags"):
        get_turn_format("tag")
    with pytest.raises(BerrypickError, match="must be a name"):
        get_turn_format(3)
