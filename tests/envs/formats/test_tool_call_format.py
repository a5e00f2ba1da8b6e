"""Tool calls as Qwen and verl write them."""

from __future__ import annotations

import json
import re

import pytest
from berrypick.envs.episode import Draft, advance, start
from berrypick.envs.formats.tool_call import SEARCH_TOOL
from berrypick.envs.formats.turn_format import Answer, Invalid, Search, get_turn_format
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.retrieval_index.searcher import Hit
from hypothesis import given, settings
from hypothesis import strategies as st

FORMAT = get_turn_format("tool_call")


def call(*queries, **more):
    body = {"name": "search", "arguments": {"query_list": list(queries)}} | more
    return f"<tool_call>\n{json.dumps(body)}\n</tool_call>"


queries = st.lists(
    st.text(min_size=1, max_size=12).filter(lambda q: q.strip() and "</" not in q), min_size=1, max_size=4
)


@settings(max_examples=80, deadline=None)
@given(queries=queries, ascii_only=st.booleans())
def test_every_query_is_read_back_and_its_span_is_its_own_json_text(queries, ascii_only):
    body = json.dumps({"name": "search", "arguments": {"query_list": queries}}, ensure_ascii=ascii_only)
    turn = f"<think> x </think> <tool_call>{body}</tool_call>"
    action = FORMAT.parse(FORMAT.cut(turn))
    assert isinstance(action, Search)
    assert list(action.queries) == [query.strip() for query in queries]
    assert [json.loads(f'"{turn[start:end]}"') for start, end in action.spans] == queries


@pytest.mark.parametrize(
    "turn",
    [
        "", "<tool_call></tool_call>", "<tool_call>{}</tool_call>", "<tool_call>[1]</tool_call>",
        call(), call(""), call("a", 3), call(*["q"] * 33), call("a", name="browse"),
        '<tool_call>{"name": "search", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "search", "arguments": 3}</tool_call>',
        '<tool_call>{"name": "search", "arguments": {"query_list": "a"}}</tool_call>',
        f"<tool_call>{'[' * 50_000}</tool_call>", "<answer> </answer>", '{"name": "search"}',
    ],
)  # fmt: skip
def test_what_is_no_call_is_invalid(turn):
    assert isinstance(FORMAT.parse(turn), Invalid)


def test_arguments_as_text_and_a_single_query_are_understood():
    text = json.dumps({"name": "search", "arguments": json.dumps({"query_list": ["a b"]})})
    assert FORMAT.parse(f"<tool_call>{text}</tool_call>").queries == ("a b",)
    one = FORMAT.parse('<tool_call>{"arguments": {"query": "ada"}, "name": "search"}</tool_call>')
    assert one.queries == ("ada",)


def test_an_escaped_lone_surrogate_does_not_reach_the_index():
    assert FORMAT.parse('<tool_call>{"name":"search","arguments":{"query_list":["\\ud800x"]}}</tool_call>').queries == (
        "\ufffdx",
    )


def test_the_first_block_of_the_turn_counts():
    assert isinstance(FORMAT.parse(FORMAT.cut(f"<answer>x [1]</answer>{call('a')}")), Answer)
    assert FORMAT.cut(f"{call('a')} {call('b')}") == call("a")


def test_the_prompt_holds_the_tool_as_qwens_chat_template_writes_it():
    question = Question("q", "Who?", ("x",))
    system, user = FORMAT.prompt(question, EpisodeSpec(turn_format="tool_call"))
    assert system["role"] == "system" and user["content"].endswith("Question: Who?\n")
    listed = re.search(r"<tools>\n(.*)\n</tools>", system["content"]).group(1)
    assert json.loads(listed) == SEARCH_TOOL
    assert '{"name": <function-name>, "arguments": <args-json-object>}' in system["content"]


class Finder:
    index_id = "finder"

    def search(self, queries, k):
        return [[Hit(f"{query}{i}", "T", f'"{query}"\n{i}', 0.0) for i in range(k)] for query in queries]

    def close(self):
        pass


def test_several_queries_of_a_call_are_numbered_on_and_count_against_the_budget_whole():
    spec = EpisodeSpec(turn_format="tool_call", top_k=2, search_budget=3, max_turns=6)
    episode = start(Question("q", "Who?", ("x",)), spec)
    first, refused, second = (
        advance([episode], [Draft(turn)], Finder())[0] for turn in (call("a", "b"), call("c", "d"), call("e"))
    )
    response = json.loads(first.observation.strip().removeprefix("<tool_response>").removesuffix("</tool_response>"))
    assert response == {
        "result": '[1] (Title: T) "a"\n0\n[2] (Title: T) "a"\n1\n[3] (Title: T) "b"\n0\n[4] (Title: T) "b"\n1'
    }
    assert first.info["retrieved_ids"] == [["a0", "a1"], ["b0", "b1"]]
    assert "not so many searches left" in refused.observation and refused.info["search/budget_left"] == 1
    assert "[5] (Title: T)" in second.observation and episode.queries == ["a", "b", "e"]
    tool = episode.messages[3]
    assert tool["role"] == "tool" and json.loads(tool["content"]) == response


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=400), limit=st.integers(100, 300))
def test_a_cut_response_is_still_json(text, limit):
    rendered = FORMAT.render(Search(("q",), ((0, 1),)), [[Hit("a", "", text, 0.0)]], 1, None, limit)
    inner = FORMAT.message(rendered)["content"]
    assert len(rendered) <= limit and set(json.loads(inner)) == {"result"}
