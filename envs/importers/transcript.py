"""Turns of a transcript: one text in which the policy's tags and the environment's tags alternate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from ..formats.search_r1 import INVALID_HINT
from ..record import TurnRecord
from .final_answer import free_answer
from .passages import rankings_of
from .tool_calls import Call, call_in_text

__all__ = ["TAGGED", "answer_of", "answer_turn", "call_turn", "observe", "question_in", "shown_blocks", "turns_of_text"]

_SHOWN = ("information", "tool_response", "longcat_tool_response", "observation", "documents")
"""Tags around what the environment shows."""

_ACTIONS = ("search", "answer", "tool_call", "longcat_tool_call", "final_summary")
"""Tags around the policy's actions."""

TAGGED = re.compile(r"<(?:search|answer)>")
"""Matches a prompt or transcript that puts its answers in tags. Elsewhere, the last message is the answer."""

_OPENING = re.compile(
    rf"<(?P<tag>{'|'.join((*_SHOWN, *_ACTIONS))})>|{re.escape(INVALID_HINT[:60])}"
)  # fmt: skip
_HINT_END = INVALID_HINT[-len("Let me try again.") :]
_SPECIAL = r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>]{1,40}｜>|</?longcat_(?:s|assistant|user|observation)>|/think_(?:on|off)"
_ROLE = r"(?:system|user|assistant|tool|ipython)"
_HEAD = re.compile(rf"\A(?:\s|{_SPECIAL}|{_ROLE}(?=\s*(?:\n|<\||\Z)))+")
_TAIL = re.compile(rf"(?:\s|{_SPECIAL}|\n{_ROLE}(?=\s*\Z))+\Z")
_USER = re.compile(r"(?:\A|\n|>)(?:<\|im_start\|>|<\|start_header_id\|>)?user(?:<\|end_header_id\|>)?\n|<longcat_user>")
_ANSWER_MARK = re.compile(r"\n[ \t]*(?:Answer|Thought|Response):?[ \t]*\Z")


def question_in(prompt: str) -> str:
    """The question in a prompt: what follows the last "Question:" of the last user message, else that message.

    Args:
        prompt: the text of a message, or a whole prompt with the words of a chat template around its messages.
    """
    users = list(_USER.finditer(prompt))
    asked = prompt[users[-1].end() :] if users else prompt
    _, mark, after = asked.rpartition("Question:")
    text = after if mark and after.strip() else asked
    text = re.sub(r"(?:<\|im_end\|>\n?)?(?:<\|im_start\|>)?\n?assistant\n?(?:<think>\s*)?\Z", "", text.rstrip())
    text = _trim(text)
    return _ANSWER_MARK.sub("", text).strip() if mark else text


def turns_of_text(text: str, *, tagged: bool = True) -> list[TurnRecord]:
    """Splits a response into turns. Linear in the length of the text, whatever it holds.

    A turn ends after each complete `<search>`, `<answer>` or `<tool_call>` block. What follows in `<information>`,
    `<tool_response>` or the like answers it; several such blocks answer several calls in order. Words of chat templates
    between the turns are dropped.

    Args:
        text: the response.
        tagged: the answer must be in a tag. Otherwise a last text without one is the answer.
    """
    turns: list[TurnRecord] = []
    waiting, answered = 0, False  # the first turn without an observation; whether an observation came last
    begin = at = 0
    known: dict[str, int] = {}
    shown: dict[int, list[str]] = {}

    def add(turn: TurnRecord | None) -> None:
        nonlocal waiting, answered
        if turn is not None:
            waiting, answered = (len(turns) if answered else waiting), False
            turns.append(turn)

    while (match := _OPENING.search(text, at)) is not None:
        tag = match["tag"]
        if tag in _ACTIONS:
            stop = _find(text, f"</{tag}>", match.end(), known)
            after = [place for name in _SHOWN if (place := _find(text, f"<{name}>", match.end(), known)) >= 0]
            if stop < 0 or stop > min(after, default=len(text)):  # no block: it was cut off
                at = match.end()
                continue
            at = stop + len(f"</{tag}>")
            add(_action(tag, _trim(text[begin:at]), text[match.end() : stop]))
        else:
            add(_unmarked(text[begin : match.start()]))
            close = f"</{tag}>" if tag else _HINT_END
            stop = _find(text, close, match.end(), known)
            at = len(text) if stop < 0 else stop + len(close)
            if turns:
                place = min(waiting, len(turns) - 1)
                body = text[match.end() : at if stop < 0 else stop] if tag else text[match.start() : at]
                shown.setdefault(place, []).append(body)
                waiting, answered = place + 1, True
        begin = at
    rest = _trim(text[begin:])
    add(_unmarked(rest) if tagged or not _words(rest) else answer_turn(rest, free_answer(rest)))
    for place, bodies in shown.items():
        observe(turns[place], *bodies)
    return turns


def _words(text: str) -> str:
    """What is left without tags."""
    return re.sub(r"</?\w{1,30}>", "", text).strip()


def _unmarked(text: str) -> TurnRecord | None:
    """The turn of a text without an action; None if it holds no words."""
    rest = _trim(text)
    return _invalid(rest) if _words(rest) else None


def _find(text: str, what: str, start: int, known: dict[str, int]) -> int:
    """The next place of a text from `start`, -1 if none; places found before are used again."""
    place = known.get(what, -2)
    if place == -1 or place >= start:
        return place
    known[what] = text.find(what, start)
    return known[what]


def _trim(text: str) -> str:
    """Without the words of a chat template at both ends."""
    return _strip_tail(_HEAD.sub("", text))


def _strip_tail(text: str) -> str:
    tail = text[-400:]  # a template's words are few; this keeps the search for them linear
    match = _TAIL.search(tail)
    return text[: len(text) - len(tail) + match.start()] if match else text


def _invalid(text: str, error: str = "no complete block of an action") -> TurnRecord:
    return TurnRecord(text=text, action="invalid", error=error)


def _action(tag: str, text: str, body: str) -> TurnRecord:
    if tag == "search":
        query = body.strip()
        return TurnRecord(text=text, action="search", queries=[query]) if query else _invalid(text, "empty query")
    if tag in ("answer", "final_summary"):
        said = body.strip() if tag == "answer" else free_answer(body)
        return answer_turn(text, said)
    call = call_in_text(body)
    return _invalid(text, "a tool call that cannot be read") if call is None else call_turn(text, call)


def answer_turn(text: str, said: str | None) -> TurnRecord:
    """A turn that answers; invalid if it says nothing."""
    return TurnRecord(text=text, action="answer", answer=said) if said else _invalid(text, "empty answer")  # type: ignore[call-arg]


def call_turn(text: str, call: Call) -> TurnRecord:
    """The turn of a tool call. A call that neither searches nor answers is a search without queries."""
    if call.error:
        return _invalid(text, call.error)
    if call.answer is not None:
        return answer_turn(text, call.answer)
    action: Literal["search"] = "search"
    return TurnRecord(text=text, action=action, queries=list(call.queries), tool=call.name)  # type: ignore[call-arg]


def observe(turn: TurnRecord, *shown: str) -> None:
    """Adds what the environment showed; the passages are read if the turn searched."""
    turn.observation = "\n".join(part for part in (turn.observation, *shown) if part)
    if turn.action == "search" and turn.queries:
        turn.hits = [*turn.hits, *(ranking for body in shown for ranking in rankings_of(body, len(turn.queries)))]


def shown_blocks(text: str) -> list[str]:
    """The bodies of the `<information>`, `<tool_response>` or like blocks of a message; empty without any."""
    blocks: list[str] = []
    match = _OPENING.search(text)
    while match is not None:
        end = match.end()
        if (tag := match["tag"]) in _SHOWN:
            stop = text.find(f"</{tag}>", end)
            blocks.append(text[end : stop if stop >= 0 else len(text)])
            end = len(text) if stop < 0 else stop
        match = _OPENING.search(text, end)
    return blocks


def answer_of(turns: Sequence[TurnRecord]) -> str | None:
    """The last answer after the last search; None without one."""
    for turn in reversed(turns):
        if turn.action == "answer":
            said = (turn.model_extra or {}).get("answer")
            return said if isinstance(said, str) else None
        if turn.action == "search":
            return None
    return None
