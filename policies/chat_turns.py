"""Replies of a chat model to turns of an episode, and observations back to chat messages. Pure functions.

A turn format decides how the model is asked. With `tool_call` the model calls functions through the API, and a reply
is rewritten as a turn of that format. With any other format the model writes the format's own text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..envs.formats.prompt_words import opening
from ..envs.formats.tool_call import call_text, without_action_tags
from ..envs.formats.turn_format import Invalid, TurnFormat
from ..envs.questions import EpisodeSpec, Question
from ..retrieval_index.json_text import parse_json
from .endpoint import StoppedBy, ended_text

__all__ = ["TASK", "TOOLS", "ChatTurn", "observed", "tag_turn", "thoughtful", "tool_prompt", "tool_turn"]

Message = dict[str, Any]


def _function(name: str, description: str, argument: str, meaning: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {argument: {"type": "string", "description": meaning}},
        "required": [argument],
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = (
    _function("search", "Searches for passages that are relevant to the query.", "query", "what to search for"),
    _function("answer", "Gives the final answer and ends the task.", "answer", "the answer alone, short"),
)
"""The functions that a chat model may call, in OpenAI's form."""

TASK = (
    "Answer the question. If you lack knowledge, call the function search; you may search {budget}. When you know "
    "enough, call the function answer, or write the answer as your whole reply, short and without explanation, for "
    "example: Beijing{several}{world}\nQuestion: {question}\n"
)
"""The opening message for a model that calls functions."""

_NO_TEXT = "(no text)"  # several servers refuse an empty message
_SEE_FIRST = "(see the first result)"


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A reply of the model.

    Attributes:
        text: the turn as the episode's turn format writes it.
        stopped_by: see `Draft`.
        message: the reply as a message of the conversation.
        call_ids: ids of its function calls; each needs a message in response.
    """

    text: str
    stopped_by: StoppedBy
    message: Message
    call_ids: tuple[str, ...] = ()


def tool_prompt(question: Question, spec: EpisodeSpec) -> list[Message]:
    """The opening message for a model that calls functions; the template "bare" sends only the question."""
    return [dict(message) for message in opening(question, spec, TASK)]


def tag_turn(choice: Mapping[str, Any], turn_format: TurnFormat) -> ChatTurn:
    """The turn of a reply in the format's own text. A cut reply keeps its open tag, so it is no complete action."""
    text, ended = ended_text(choice, _content(_message(choice)), turn_format.stop)
    text = turn_format.cut(text)
    return ChatTurn(text, ended, {"role": "assistant", "content": text or _NO_TEXT})


def tool_turn(choice: Mapping[str, Any], turn_format: TurnFormat, num_answers: int) -> ChatTurn:
    """The turn of a reply that may call functions, as a turn of the format `tool_call`.

    Calls of `search` become one search with all their queries. A call of `answer` is the answer if it comes first. A
    reply without calls is the answer. Anything else (a call that cannot be read, an unknown function, an empty or cut
    reply) becomes a turn that the format refuses with a hint.

    Args:
        choice: a choice of the reply.
        turn_format: the format `tool_call`.
        num_answers: the number of answers that count; with one, the lines of an answer are joined.
    """
    message = _message(choice)
    content, calls = _content(message), _calls(message)
    was_cut = choice.get("finish_reason") == "length"
    if calls:
        text = _called(calls, num_answers)
        said = without_action_tags(content)  # tags in the words beside a call are no second action
        reply = {"role": "assistant", "content": content or None, "tool_calls": [_repeated(call) for call in calls]}
        ids = tuple(call["id"] for call in calls)
        return ChatTurn(f"{said}\n{text}" if said else text, "tag", reply, ids)
    reply = {"role": "assistant", "content": content or _NO_TEXT}
    if not isinstance(turn_format.parse(turn_format.cut(content)), Invalid):
        return ChatTurn(content, "tag", reply)  # a server without a parser of calls leaves them in the text
    if was_cut or not content.strip():
        return ChatTurn(content, "length" if was_cut else "eos", reply)
    thought, mark, rest = content.rpartition("</think>")
    if not rest.strip():
        return ChatTurn(content, "eos", reply)
    return ChatTurn(thought + mark + _answer(rest, num_answers), "eos", reply)


_THOUGHT = ("reasoning_content", "reasoning")
"""Fields of a message in which services return the model's thought, apart from its text."""

_ANY_TAG = re.compile(r"<(?=/?\w)")


def thoughtful(turn: ChatTurn, choice: Mapping[str, Any]) -> ChatTurn:
    """The turn with the thought that the service returned beside it, as `<think>` before the text.

    Tags in the thought are broken, so that it holds no action. The conversation goes on without it, as services ask.
    """
    message = _message(choice)
    found = (message.get(name) for name in _THOUGHT)
    thought = next((text.strip() for text in found if isinstance(text, str) and text.strip()), "")
    if not thought:
        return turn
    return replace(turn, text=f"<think> {_ANY_TAG.sub('< ', thought)} </think>\n{turn.text}")


def observed(observation: Message, call_ids: Sequence[str]) -> list[Message]:
    """The environment's message as responses to the calls, or as a user message if there were none."""
    if not call_ids:
        return [{"role": "user", "content": observation["content"]}]
    contents = [observation["content"], *[_SEE_FIRST] * (len(call_ids) - 1)]
    return [{"role": "tool", "tool_call_id": key, "content": text} for key, text in zip(call_ids, contents)]


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    message = choice.get("message")
    return message if isinstance(message, Mapping) else {}


def _content(message: Mapping[str, Any]) -> str:
    """The text of a message: a text, or a list of parts some of which are text; "" for anything else."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The function calls of a message, each as id, name and arguments; nothing about them is trusted."""
    found = message.get("tool_calls")
    out = []
    for number, call in enumerate(found if isinstance(found, list) else []):
        call = call if isinstance(call, dict) else {}
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        key = call.get("id")
        out.append(
            {
                "id": key if isinstance(key, str) and key else f"call_{number}",
                "name": function.get("name"),
                "arguments": function.get("arguments"),
            }
        )
    return out


def _arguments(call: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of a call; None if they are no JSON object."""
    arguments = call["arguments"]
    if isinstance(arguments, str):
        try:
            arguments = parse_json(arguments)
        except ValueError:
            return None
    return arguments if isinstance(arguments, dict) else None


def _called(calls: Sequence[Mapping[str, Any]], num_answers: int) -> str:
    first = _arguments(calls[0])
    if calls[0]["name"] == "answer" and first is not None and isinstance(first.get("answer"), str):
        return _answer(first["answer"], num_answers)
    queries: list[str] = []
    for call in calls:
        asked = _queries(_arguments(call)) if call["name"] == "search" else None
        if asked is not None:
            queries += asked
        elif call["name"] != "answer" or call is calls[0]:  # an answer beside searches waits for their results
            return call_text(call["name"], call["arguments"])
    return call_text("search", {"query_list": queries})


def _queries(arguments: Mapping[str, Any] | None) -> list[str] | None:
    if arguments is None:
        return None
    found = arguments.get("query_list", [arguments.get("query")])
    if not isinstance(found, list) or not found or not all(isinstance(query, str) for query in found):
        return None
    return found


def _answer(text: str, num_answers: int) -> str:
    lines = [" ".join(line.split()) for line in without_action_tags(text).splitlines() if line.strip()]
    body = (" " if num_answers == 1 else "\n").join(lines)
    return f"<answer> {body} </answer>"


def _repeated(call: Mapping[str, Any]) -> dict[str, Any]:
    """A call as the conversation repeats it. Servers parse these arguments, so unreadable ones are left out."""
    arguments = _arguments(call)
    name = call["name"] if isinstance(call["name"], str) and call["name"] else "unknown"
    function = {"name": name, "arguments": json.dumps(arguments if arguments is not None else {})}
    return {"id": call["id"], "type": "function", "function": function}
