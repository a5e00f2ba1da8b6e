"""Search-R1's rendering, against its own published transcript and an independent reading of its rules."""

from __future__ import annotations

import re

from berrypick.envs.episode import Draft, advance, start
from berrypick.envs.formats.turn_format import Answer, Invalid, Search, get_turn_format
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.retrieval_index.searcher import Hit
from hypothesis import given, settings
from hypothesis import strategies as st

FORMAT = get_turn_format("search_r1")
PIECES = ["<search>", "</search>", "<answer>", "</answer>", " a ", "\n", "b"]


def published_reading(text):
    """_postprocess_responses, then postprocess_predictions."""
    if "</search>" in text:
        text = text.split("</search>")[0] + "</search>"
    elif "</answer>" in text:
        text = text.split("</answer>")[0] + "</answer>"
    match = re.search(r"<(search|answer)>(.*?)</\1>", text, re.DOTALL)
    return (match.group(1), match.group(2).strip()) if match else (None, "")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_turns_are_read_as_published(text):
    action = FORMAT.parse(FORMAT.cut(text))
    kind, content = published_reading(text)
    if kind is None:
        assert isinstance(action, Invalid)
    elif kind == "search":
        assert isinstance(action, Search) and action.queries == (content,)
    else:
        assert isinstance(action, Answer) and [c.text for c in action.candidates] == [content]


def test_the_prompt_and_the_first_observation_of_the_published_transcript_come_out_byte_for_byte(shared_data):
    transcript = (shared_data / "trajectories" / "searchr1_upstream_case.txt").read_text()
    user = re.search(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", transcript, re.DOTALL).group(1)
    asked = re.search(r"Question: (.*)\n", user).group(1)
    question = Question("q", asked.removesuffix("?"), ("x",))
    spec = EpisodeSpec(turn_format="search_r1", max_turns=5, top_k=3, max_observation_chars=100_000)
    assert FORMAT.prompt(question, spec)[0]["content"] == user
    information = re.search(r"\n\n?<information>(Doc 1.*?)</information>", transcript, re.DOTALL).group(1)
    documents = re.findall(r'Doc \d+\(Title: "(.*?)"\) (.*?)\n?(?=Doc \d+\(Title|\Z)', information, re.DOTALL)
    hits = [Hit(str(n), title, text, 0.0) for n, (title, text) in enumerate(documents)]
    rendered = FORMAT.render(Search(("q",), ((0, 1),)), [hits], 7, None)
    assert len(hits) == 3 and rendered == f"\n\n<information>{information}</information>\n\n"


def test_an_invalid_turn_gets_the_published_hint():
    assert FORMAT.render(Invalid("x"), [], 1, FORMAT.invalid_hint) == (
        "\nMy previous action is invalid. If I want to search, I should put the query between <search> and </search>. "
        "If I want to give the final answer, I should put the answer between <answer> and </answer>. "
        "Let me try again.\n"
    )


def test_numbering_restarts_in_each_turn_and_a_blank_query_brings_nothing():
    class Two:
        index_id = "two"

        def search(self, queries, k):
            return [[Hit("a", "T", "x", 1.0)] * 2 if query else [] for query in queries]

        def close(self):
            pass

    episode = start(Question("q", "Who", ("x",)), EpisodeSpec(turn_format="search_r1", max_turns=5))
    observations = [
        advance([episode], [Draft(turn)], Two())[0].observation
        for turn in ("<search>a</search>", "<search> </search>", "<search>b</search>")
    ]
    assert (
        observations[0]
        == observations[2]
        == '\n\n<information>Doc 1(Title: "T") x\nDoc 2(Title: "T") x</information>\n\n'
    )
    assert observations[1] == "\n\n<information></information>\n\n"
