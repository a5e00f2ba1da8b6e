"""Logs that are plain text: Search-R1's printed transcripts, and tool calls in XML-like tags (LongCat)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .fields import parsed, texts
from .files import Row
from .registry import register_importer
from .rollout import Rollout
from .transcript import answer_of, question_in, turns_of_text

__all__: list[str] = []

_LACKS = {
    "token probabilities": "the log holds text without tokens",
    "token counts": "the log holds text without tokens",
    "evidence": "the log does not say which passages are relevant",
}
_GOLDEN = "Golden answers:"
_ASSISTANT = re.compile(
    r"<\|im_start\|>assistant\n?|<\|start_header_id\|>assistant<\|end_header_id\|>\n*|\nassistant\n"
)
_STARTS = ("<|im_start|>system", "<|start_header_id|>system", "Answer the given question.")

Lines = Iterator[tuple[int, str]]


def _split_search_r1(lines: Lines) -> Lines:
    """A rollout starts at a system message, or at the line of golden answers that is printed before it."""
    start, kept, begun = 1, list[str](), False
    for number, line in lines:
        golden = line.startswith(_GOLDEN)
        opens = golden or any(mark in line for mark in _STARTS[:2]) or (not begun and _STARTS[2] in line)
        if opens and begun:
            yield start, "".join(kept)
            kept, begun = [], False
        if opens and not kept:
            start = number
        begun = begun or (opens and not golden)
        if opens or kept:
            kept.append(line)
    if kept:
        yield start, "".join(kept)


@register_importer(
    "search-r1-log",
    title="Search-R1 text log",
    recognise=lambda row: (
        isinstance(row.get("text"), str)
        and len(row) == 1
        and ("<information>" in row["text"] or "</search>" in row["text"])
        and any(mark in row["text"] for mark in (*_STARTS, _GOLDEN))
    ),
    summary="transcripts that Search-R1 prints while it trains, with their chat template",
    gives="queries, passages shown in the text; right answers only where the log prints them",
    lacks=_LACKS | {"right answers": "the log does not print the golden answers"},
    split=_split_search_r1,
)
def read_search_r1_log(row: Row) -> Rollout:
    """Reads one transcript."""
    text = str(row["text"])
    answers: list[str] = []
    if text.startswith(_GOLDEN):
        first, _, text = text.partition("\n")
        answers = texts(parsed(first[len(_GOLDEN) :].strip()))
    place = _ASSISTANT.search(text)
    if place is None:
        raise ValueError("the transcript has no reply of an assistant")
    prompt, response = text[: place.start()], text[place.end() :]
    turns = turns_of_text(response)
    if turns and re.fullmatch(r"-{8,}", turns[-1].text.strip()):
        turns.pop()  # the line that is printed before the next transcript
    return Rollout(question=question_in(prompt), answers=answers, turns=turns, answer=answer_of(turns), prompt=prompt)


_USER, _REPLY, _DECLARE = "<longcat_user>", "<longcat_assistant>", ("<longcat_tool_declare>", "<longcat_system>")


def _split_longcat(lines: Lines) -> Lines:
    """A rollout starts at the declaration of the tools, or at a system message after a question."""
    start, kept, asked = 1, list[str](), False
    for number, line in lines:
        if kept and asked and any(line.startswith(mark) for mark in _DECLARE):
            yield start, "".join(kept)
            kept, asked = [], False
        start = start if kept else number
        asked = asked or _USER in line
        if kept or line.strip():
            kept.append(line)
    if kept:
        yield start, "".join(kept)


@register_importer(
    "longcat",
    title="XML-like tool-call log (LongCat)",
    recognise=lambda row: (
        isinstance(row.get("text"), str)
        and len(row) == 1
        and (_REPLY in row["text"] or "<longcat_tool_call>" in row["text"])
    ),
    summary="a model's raw text with `<longcat_tool_call>`, argument keys and values in tags",
    gives="queries, passages with real ids (urls)",
    lacks=_LACKS | {"right answers": "the log holds no right answers"},
    split=_split_longcat,
)
def read_longcat(row: Row) -> Rollout:
    """Reads one transcript. The question is the text of the user."""
    text = str(row["text"])
    head, user, rest = text.partition(_USER)
    if not user:
        raise ValueError("the transcript has no question of a user")
    asked, reply, response = rest.partition(_REPLY)
    if not reply:
        raise ValueError("the transcript has no reply of an assistant")
    turns = turns_of_text(response, tagged=False)
    question = question_in(re.sub(r"/think_(?:on|off)\s*\Z", "", asked.rstrip()))
    return Rollout(question=question, turns=turns, answer=answer_of(turns), prompt=head + asked)
