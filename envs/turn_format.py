"""How a turn is written: the policy's text to an action, hits to an observation. Text only, knows no tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..retrieval_index.errors import UnknownNameError
from ..retrieval_index.searcher import Hit
from .questions import EpisodeSpec, Question

__all__ = [
    "Action",
    "Answer",
    "Candidate",
    "Invalid",
    "Search",
    "TagsFormat",
    "TurnFormat",
    "cut_turn",
    "get_turn_format",
]


@dataclass(frozen=True, slots=True)
class Search:
    """A call to the searcher; `spans` are the queries' [start, end) character offsets in the policy's own turn."""

    queries: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer with the passages it cites: [n] is the n-th passage shown in this episode."""

    text: str
    cited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer block; its first candidate is the one pass@1 scores."""

    candidates: tuple[Candidate, ...]
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Invalid:
    """A turn that is neither a search nor an answer."""

    reason: str


Action = Search | Answer | Invalid


class TurnFormat(Protocol):
    """A way of writing turns; implementations are stateless."""

    @property
    def name(self) -> str:
        """What `EpisodeSpec.turn_format` calls it."""
        ...

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end a turn; what follows the first of them is cut."""
        ...

    def prompt(self, question: Question, spec: EpisodeSpec) -> list[dict[str, str]]:
        """Chat messages that open the episode."""
        ...

    def parse(self, text: str) -> Action:
        """The action a turn asks for; never raises."""
        ...

    def render(
        self, action: Search | Invalid, hits: Sequence[Sequence[Hit]], first_number: int, note: str | None
    ) -> str:
        """The observation that answers an action; `note` carries hints and the budget left."""
        ...


def cut_turn(text: str, stop: Sequence[str]) -> str:
    """The turn up to and including its first stop string."""
    ends = [at + len(tag) for tag in stop if (at := text.find(tag)) >= 0]
    return text[: min(ends)] if ends else text


_ACTION = re.compile(r"<(search|answer)>(.*?)</\1>", re.DOTALL)
_CITATIONS = re.compile(r"((?:\s*\[\d{1,6}\])*)\s*$")

INSTRUCTIONS = (
    "Answer the question. Think inside <think> and </think> first, and again whenever you learn something. "
    "If you lack knowledge, search by writing <search> query </search>; the best passages come back between "
    "<information> and </information>. You may search {budget}. When you know enough, write the answer, short "
    "and without explanation, inside <answer> and </answer>, for example <answer> Beijing </answer>.{several}"
)


@dataclass(frozen=True, slots=True)
class TagsFormat:
    """Turns in tags, after Search-R1 (arXiv 2503.09516): `<think> <search> <information> <answer>`.

    The first complete search or answer block of a turn is its action. Passages are numbered over the whole
    episode: `[3] (Title: T) text`.
    """

    name: str = "tags"
    stop: tuple[str, ...] = ("</search>", "</answer>")

    def prompt(self, question: Question, spec: EpisodeSpec) -> list[dict[str, str]]:
        """One user message; the template "bare" sends the question alone."""
        if spec.template == "bare":
            return [{"role": "user", "content": question.text}]
        limit = spec.max_turns - 1 if spec.search_budget is None else spec.search_budget
        several = (
            ""
            if spec.num_answers == 1
            else f" Give {spec.num_answers} different answers in the one block, one a line, each with the numbers of "
            "the passages that support it, for example: Beijing [2]."
        )
        budget = "once" if limit == 1 else f"{limit} times at most"
        task = INSTRUCTIONS.format(budget=budget, several=several)
        return [{"role": "user", "content": f"{task}\nQuestion: {question.text}\n"}]

    def parse(self, text: str) -> Action:
        """The first complete `<search>` or `<answer>` block."""
        match = _ACTION.search(text)
        if match is None:
            return Invalid("no complete <search> or <answer> block")
        body, (start, end) = match.group(2), match.span(2)
        if not body.strip():
            return Invalid(f"empty <{match.group(1)}> block")
        if match.group(1) == "answer":
            lines = tuple(_candidate(line) for line in body.strip().splitlines() if line.strip())
            return Answer(lines, (start, end))
        lead = len(body) - len(body.lstrip())
        query = body.strip()
        return Search((query,), ((start + lead, start + lead + len(query)),))

    def render(
        self, action: Search | Invalid, hits: Sequence[Sequence[Hit]], first_number: int, note: str | None
    ) -> str:
        """`<information>` with the numbered passages, or the hint alone."""
        if isinstance(action, Invalid):
            return f"\n<information> {note or action.reason} </information>\n"
        lines: list[str] = []
        for hit in (hit for ranking in hits for hit in ranking):
            title = f"(Title: {hit.title}) " if hit.title else ""
            lines.append(f"[{first_number + len(lines)}] {title}{hit.text}")
        body = "\n".join(lines) if lines or note else "no passage found"
        tail = f"\n{note}" if note and lines else (note or "")
        return f"\n<information> {body}{tail} </information>\n"


def _candidate(line: str) -> Candidate:
    match = _CITATIONS.search(line)
    tail = match.group(1) if match else ""
    text = line[: match.start(1)] if match else line
    return Candidate(text.strip(), tuple(int(n) for n in re.findall(r"\d+", tail)))


_FORMATS: dict[str, TurnFormat] = {"tags": TagsFormat()}


def get_turn_format(name: str) -> TurnFormat:
    """The format of that name; an unknown one raises `UnknownNameError`."""
    if name not in _FORMATS:
        raise UnknownNameError("turn format", name, _FORMATS)
    return _FORMATS[name]
