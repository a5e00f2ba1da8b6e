"""Turns as tool calls: `<tool_call>{"name": "search", "arguments": {"query_list": [...]}}</tool_call>` (Qwen, verl)."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from ...retrieval_index.searcher import Hit
from ..questions import EpisodeSpec, Question
from .actions import Action, Invalid, Search, cut_turn, encodable, first_block, read_answer
from .prompt_words import fitted_lines, opening, passage_lines

__all__ = ["SEARCH_TOOL", "ToolCallFormat", "call_text", "without_action_tags"]

MAX_QUERIES = 32

SEARCH_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Searches for passages that are relevant to each query.",
        "parameters": {
            "type": "object",
            "properties": {
                "query_list": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Queries; each brings its own passages.",
                }
            },
            "required": ["query_list"],
        },
    },
}
"""The JSON schema of the search tool, in OpenAI's form."""

# What Qwen's chat template writes for tools=[SEARCH_TOOL]
_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function "
    "signatures within <tools></tools> XML tags:\n<tools>\n{tool}\n</tools>\n\nFor each function call, return a json "
    "object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)
_TASK = (
    "Answer the question. Think inside <think> and </think> first, and again whenever you learn something. If you lack "
    "knowledge, call the search tool; you may search {budget}, each query of a call counts. When you know enough, "
    "write the answer, short and without explanation, inside <answer> and </answer>, for example <answer> Beijing "
    "</answer>.{several}{world}\nQuestion: {question}\n"
)
_ACTION_TAG = re.compile(r"<(?=/?(?:tool_call|answer)>)")
_OPEN, _CLOSE = "\n<tool_response>\n", "\n</tool_response>\n"


def call_text(name: object, arguments: object) -> str:
    """A call as a turn of this format. Every text in its arguments arrives as it was given, also one that holds tags.

    Raises:
        TypeError, ValueError, RecursionError: the arguments are no JSON.
    """
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return "<tool_call>" + body.replace("</", "<\\/") + "</tool_call>"  # the same JSON, without a closing tag


def without_action_tags(text: str) -> str:
    """The text with a space in each tag of an action, so that words inside or beside an action are no action."""
    return _ACTION_TAG.sub("< ", text)


@dataclass(frozen=True, slots=True)
class ToolCallFormat:
    """Tool calls as JSON in `<tool_call>`, or `<answer> answer </answer>`; a call may have several queries.

    The first complete tool call or answer block of a turn is its action.
    The observation is `<tool_response>` with {"result": passages}. Passages are numbered over the whole episode, as in
    `tags`. As a chat message it has the role "tool" and no tags, because the chat template adds them.
    """

    name: str = "tool_call"
    stop: tuple[str, ...] = ("</tool_call>", "</answer>")
    invalid_hint: str = (
        'invalid turn: write <tool_call>{"name": "search", "arguments": {"query_list": ["query"]}}</tool_call> or '
        "<answer> answer </answer>"
    )
    budget_hint: str = "not so many searches left: ask fewer queries or write <answer> answer </answer>"
    observation_role: str = "tool"

    def prompt(self, question: Question, spec: EpisodeSpec) -> list[dict[str, str]]:
        """The tools as a system message, then the task; the template "bare" sends only the question."""
        return opening(question, spec, _TASK, system=_TOOLS.format(tool=json.dumps(SEARCH_TOOL)))

    def cut(self, text: str) -> str:
        """The turn up to and including the first closing tag."""
        return cut_turn(text, self.stop)

    def parse(self, text: str) -> Action:
        """The first complete `<tool_call>` or `<answer>` block."""
        block = first_block(text, ("tool_call", "answer"))
        if block is None:
            return Invalid("no complete <tool_call> or <answer> block")
        tag, start, end = block
        return _read_call(text[start:end], start) if tag == "tool_call" else read_answer(text, start, end)

    def render(
        self,
        action: Search | Invalid,
        hits: Sequence[Sequence[Hit]],
        first_number: int,
        note: str | None,
        max_chars: int | None = None,
    ) -> str:
        """`<tool_response>` with the passages or the hint as JSON. The JSON of a cut text is valid."""
        if isinstance(action, Invalid):
            return _respond("error", note or action.reason)
        lines = passage_lines(hits, first_number)
        if note:
            return _respond("error", "\n".join([*lines, note]))
        text = "\n".join(lines) if lines else "no passage found"
        if max_chars is None or len(_respond("result", text)) <= max_chars:
            return _respond("result", text)
        fitting = fitted_lines(lines, lambda shorter: len(_respond("result", "\n".join(shorter))) <= max_chars)
        if fitting is not None:
            return _respond("result", "\n".join(fitting))
        # JSON escapes lengthen the text, so the longest prefix that fits is found by bisection on the rendered length.
        fits = bisect.bisect(range(len(text)), max_chars, key=lambda n: len(_respond("result", text[:n] + " ...")))
        return _respond("result", text[: max(0, fits - 1)] + " ...")

    def message(self, observation: str) -> dict[str, str]:
        """The observation as a chat message of the tool; the chat template adds the tags."""
        return {"role": self.observation_role, "content": observation.removeprefix(_OPEN).removesuffix(_CLOSE)}


def _respond(key: str, text: str) -> str:
    return f"{_OPEN}{json.dumps({key: text}, ensure_ascii=False)}{_CLOSE}"


def _read_call(body: str, start: int) -> Action:
    try:
        call = json.loads(body)
        arguments = call["arguments"]
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
        queries = arguments["query_list"] if "query_list" in arguments else [arguments["query"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Invalid("a tool call must be JSON with a name and arguments that hold query_list")
    if call.get("name") != "search":
        return Invalid("the only tool is search")
    if not isinstance(queries, list) or not queries or len(queries) > MAX_QUERIES:
        return Invalid(f"query_list must hold 1 to {MAX_QUERIES} queries")
    if not all(isinstance(query, str) and query.strip() for query in queries):
        return Invalid("each query must be a text that is not empty")
    found = tuple(encodable(query.strip()) for query in queries)
    return Search(found, _spans(body, start, queries))


def _spans(body: str, start: int, queries: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """[start, end) of each query in the turn; those of the whole call if the queries cannot be located in the JSON."""
    at, spans = body.find('"arguments"'), list[tuple[int, int]]()
    at = max(body.find('"query_list"', at), body.find('"query"', at))
    at = body.find(":", at) + 1
    for query in queries:
        quote = body.find('"', at)
        if quote < 0:
            break
        try:
            value, at = scanstring(body, quote + 1)
        except ValueError:
            break
        if value != query:
            break
        spans.append((start + quote + 1, start + at - 1))
    if len(spans) == len(queries):
        return tuple(spans)
    return ((start, start + len(body)),) * len(queries)
