"""Turns of a chat: a list of messages with roles, with tool calls or with actions in tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..record import TurnRecord
from .digests import digest
from .fields import text_of
from .final_answer import free_answer
from .tool_calls import call_in_message
from .transcript import TAGGED, answer_of, answer_turn, call_turn, observe, question_in, shown_blocks, turns_of_text

__all__ = ["Chat", "read_chat"]

Message = Mapping[str, Any]
_TOOLS = ("tool", "function", "ipython")


@dataclass(slots=True)
class Chat:
    """What a chat holds.

    Attributes:
        question: text of the question, from the last user message before the first reply.
        prompt: digest of all messages before the first reply.
        turns: the policy's turns with their observations.
        answer: the final answer.
        model: name of the model, where a message tells it.
    """

    question: str
    prompt: str
    turns: list[TurnRecord] = field(default_factory=list)
    answer: str | None = None
    model: str = ""


def read_chat(messages: Iterable[Any], completion: Iterable[Any] | None = None) -> Chat:
    """Reads messages with the roles system, user, assistant and tool, and tool calls of any spelling.

    Args:
        messages: all messages, or those of the prompt if `completion` is given.
        completion: the messages after the prompt. The prompt may then hold examples of replies.

    Raises:
        ValueError: a message cannot be read, or no user asked.
    """
    opening = [_checked(message) for message in messages]
    rest = [_checked(message) for message in completion] if completion is not None else []
    if completion is None:
        first = next((at for at, message in enumerate(opening) if message["role"] == "assistant"), len(opening))
        opening, rest = opening[:first], opening[first:]
    asked = [text_of(message.get("content")) for message in opening if message["role"] == "user"]
    if not asked:
        raise ValueError("no message of a user before the first reply")
    whole = [(message["role"], text_of(message.get("content"))) for message in opening]
    tagged = any(TAGGED.search(text) for _, text in whole)
    chat = Chat(question_in(asked[-1]), digest(*(part for pair in whole for part in pair)))
    waiting: dict[str, TurnRecord] = {}
    for at, message in enumerate(rest):
        if message["role"] == "assistant":
            chat.model = chat.model or str(message.get("model") or "")
            _reply(chat.turns, waiting, message, tagged, last=at + 1 == len(rest))
        elif chat.turns:
            _answer_call(chat.turns, waiting, message)
    chat.answer = answer_of(chat.turns)
    return chat


def _checked(message: Any) -> Message:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise ValueError("a message has no role")
    return message


def _reply(
    turns: list[TurnRecord], waiting: dict[str, TurnRecord], message: Message, tagged: bool, *, last: bool
) -> None:
    """Adds the turns of a message of the policy: one for each tool call, else those of its text."""
    text = text_of(message.get("content"))
    thought = message.get("reasoning_content") or message.get("reasoning") or message.get("thinking")
    if isinstance(thought, str) and thought.strip():
        text = f"<think>{thought}</think>\n{text}" if text else f"<think>{thought}</think>"
    calls = message.get("tool_calls") or ([message["function_call"]] if message.get("function_call") else [])
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        raise ValueError("tool_calls is not a list")
    for number, entry in enumerate(calls):
        call = call_in_message(entry)
        words = "\n".join(part for part in (text if number == 0 else "", call.text) if part)
        turn = call_turn(words, call)
        turns.append(turn)
        waiting[call.id or f"call {len(turns)}"] = turn
    if calls or not text.strip():
        return
    found = turns_of_text(text, tagged=True)
    if all(turn.action == "invalid" for turn in found):  # no tags in it
        said = free_answer(text) if last and not tagged else None
        found = [answer_turn(text, said) if said else TurnRecord(text=text, action="invalid", error="no action in it")]
    turns.extend(found)
    for stale in [key for key in waiting if key.startswith("text ")]:
        del waiting[stale]
    waiting.update((f"text {number}", turn) for number, turn in enumerate(found) if turn.action == "search")


def _answer_call(turns: list[TurnRecord], waiting: dict[str, TurnRecord], message: Message) -> None:
    """Adds what the environment said to the turn of its call, else of the first call that waits, else to the last."""
    shown = text_of(message.get("content"))
    if isinstance(error := message.get("error"), Mapping):
        shown = shown or str(error.get("message", ""))
    key = str(message.get("tool_call_id") or message.get("call_id") or "")
    blocks = shown_blocks(shown)
    for block in blocks or [shown]:
        if key not in waiting and waiting and (blocks or message["role"] in _TOOLS):
            key = next(iter(waiting))
        observe(waiting.pop(key, turns[-1]), block)
