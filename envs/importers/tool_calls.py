"""Tool calls of any spelling: whether a call searches, answers or does something else, and with which words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .fields import parsed

__all__ = ["Call", "call_in_message", "call_in_text"]

_QUERIES = (
    "query", "queries", "query_list", "q", "search_query", "search_queries", "search_term", "keyword", "keywords",
)  # fmt: skip
_SEARCHES = re.compile(r"search|\A(?:retrieve|retrieval|retriever|lookup|google|bing|wiki|wikipedia|bm25)\Z", re.I)
_ANSWERS = re.compile(r"\A(?:submit|final|finish|answer|give_answer|return_answer|complete|done)(?:_|\Z)", re.I)
_ANSWER_FIELDS = ("answer", "final_answer", "final_result", "result", "output", "response", "text")
_KEY = re.compile(r"<(\w{0,20})arg_key>([^<]{0,200})</\1arg_key>\s{0,20}<\1arg_value>")
_PARAMETER = re.compile(r"<parameter=([^>\n]{1,200})>")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call.

    Attributes:
        name: name of the tool.
        arguments: as they were given; a mapping where they could be read.
        id: the call's id, if it has one.
        queries: what it searches for; empty unless it is a search.
        answer: the final answer that it gives; None if it gives none.
        error: why it could not be read; empty if it could.
    """

    name: str
    arguments: Any
    id: str = ""
    queries: tuple[str, ...] = ()
    answer: str | None = None
    error: str = ""

    @property
    def text(self) -> str:
        """The call as a policy writes it in text."""
        body = json.dumps({"name": self.name, "arguments": self.arguments}, ensure_ascii=False, default=str)
        return f"<tool_call>{body}</tool_call>"


def call_of(name: str, arguments: Any, key: str = "") -> Call:
    """Reads a call.

    A search is a tool whose name contains "search" or is one of a few like "retrieve", or that takes a query. Its
    queries are that argument, else all arguments as JSON. An answer is given by tools such as `answer`, `finish` and
    `submit_final_result`.
    """
    value = parsed(arguments)
    if value in (None, ""):
        value = {}
    if not isinstance(value, Mapping):
        return Call(name, arguments, key, error="the arguments of the call are not a JSON object")
    value = {str(field): item for field, item in value.items() if item is not None}  # Parquet fills gaps with None
    words = next((value[field] for field in _QUERIES if field in value), None)
    if _SEARCHES.search(name) or words is not None:
        queries = _queries(words if words is not None else value)
        return Call(name, value, key, queries, error="" if queries else "the call has no query")
    if _ANSWERS.search(name):
        fields = [value[field] for field in _ANSWER_FIELDS if isinstance(value.get(field), str)]
        fields += [item for item in value.values() if isinstance(item, str | int | float)]
        return Call(name, value, key, answer=str(fields[0]).strip() if fields else "")
    return Call(name, value, key)


def _queries(words: Any) -> tuple[str, ...]:
    words = parsed(words) if isinstance(words, str) and words.lstrip().startswith("[") else words
    if isinstance(words, Mapping):
        return (json.dumps(words, sort_keys=True, ensure_ascii=False, default=str),) if words else ()
    items = words if isinstance(words, list | tuple) else [words]
    return tuple(text for item in items if item is not None and (text := str(item).strip()))


def call_in_message(call: Any) -> Call:
    """Reads a call of a chat message, in the spelling of OpenAI, Inspect, verifiers or ATIF.

    Raises:
        ValueError: it has no name.
    """
    call = parsed(call)
    if not isinstance(call, Mapping):
        raise ValueError("a tool call is not a JSON object")
    function = call.get("function")
    inner = function if isinstance(function, Mapping) else call
    name = function if isinstance(function, str) else inner.get("name", inner.get("function_name"))
    if not isinstance(name, str):
        raise ValueError("a tool call has no name")
    key = call.get("id") or call.get("call_id") or call.get("tool_call_id") or ""
    return call_of(name, inner.get("arguments"), str(key))


def call_in_text(body: str) -> Call | None:
    """Reads what stands between `<tool_call>` and `</tool_call>`: JSON, `<function=...>`, or pairs of key and value.

    Returns:
        The call; None if the text is none.
    """
    body = body.strip()
    if body.startswith("{"):
        value = parsed(body)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            return call_of(value["name"], value.get("arguments", value.get("parameters")))
        return None
    if body.startswith("<function="):
        name, _, rest = body[len("<function=") :].partition(">")
        return call_of(name.strip(), _pairs(rest, _PARAMETER, lambda found: (found[1], "</parameter>")))
    name = re.split(r"[\s<]", body, maxsplit=1)[0]
    if not re.fullmatch(r"[\w.-]{1,100}", name):
        return None
    return call_of(name, _pairs(body, _KEY, lambda found: (found[2], f"</{found[1]}arg_value>")))


def _pairs(text: str, opening: re.Pattern[str], read: Callable[[re.Match[str]], tuple[str, str]]) -> dict[str, Any]:
    """Arguments by name; `read` gives name and closing tag of an opening. One pass, also over hostile text."""
    found: dict[str, Any] = {}
    match = opening.search(text)
    while match:
        name, closing = read(match)
        end = text.find(closing, match.end())
        if end < 0:
            break
        found[name.strip()] = parsed(text[match.end() : end].strip())
        match = opening.search(text, end)
    return found
