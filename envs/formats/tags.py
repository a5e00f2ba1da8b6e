"""Turns in tags, after Search-R1 (arXiv 2503.09516): `<think> <search> <information> <answer>`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...retrieval_index.searcher import Hit
from ..questions import EpisodeSpec, Question
from .actions import Action, Invalid, Search, cut_turn, first_block, read_answer, read_query
from .prompt_words import fitted_lines, opening, passage_lines

__all__ = ["BUDGET_HINT", "INVALID_HINT", "TagsFormat"]

INVALID_HINT = "invalid turn: write <search> query </search> or <answer> answer </answer>"
BUDGET_HINT = "no searches left: write <answer> answer </answer>"

INSTRUCTIONS = (
    "Answer the question. Think inside <think> and </think> first, and again whenever you learn something. "
    "If you lack knowledge, search by writing <search> query </search>; the best passages come back between "
    "<information> and </information>. You may search {budget}. When you know enough, write the answer, short "
    "and without explanation, inside <answer> and </answer>, for example <answer> Beijing </answer>.{several}{world}\n"
    "Question: {question}\n"
)
_CUT = " ... </information>\n"


@dataclass(frozen=True, slots=True)
class TagsFormat:
    """Tags: `<search> query </search>` or `<answer> answer </answer>`; passages come back in `<information>`.

    The first complete search or answer block of a turn is its action.
    Passages are numbered over the whole episode: `[3] (Title: T) text`. Several answers go into one block, one per
    line, each followed by the passages it cites: `tovenra [1][4]`.
    """

    name: str = "tags"
    stop: tuple[str, ...] = ("</search>", "</answer>")
    invalid_hint: str = INVALID_HINT
    budget_hint: str = BUDGET_HINT
    observation_role: str = "user"

    def prompt(self, question: Question, spec: EpisodeSpec) -> list[dict[str, str]]:
        """One user message; the template "bare" sends only the question."""
        return opening(question, spec, INSTRUCTIONS)

    def cut(self, text: str) -> str:
        """The turn up to and including the first closing tag."""
        return cut_turn(text, self.stop)

    def parse(self, text: str) -> Action:
        """The first complete `<search>` or `<answer>` block."""
        block = first_block(text, ("search", "answer"))
        if block is None:
            return Invalid("no complete <search> or <answer> block")
        tag, start, end = block
        if tag == "answer":
            return read_answer(text, start, end)
        return read_query(text, start, end) if text[start:end].strip() else Invalid("empty <search> block")

    def render(
        self,
        action: Search | Invalid,
        hits: Sequence[Sequence[Hit]],
        first_number: int,
        note: str | None,
        max_chars: int | None = None,
    ) -> str:
        """`<information>` with the numbered passages, or only the hint; passages that are too long are cut."""
        if isinstance(action, Invalid):
            return f"\n<information> {note or action.reason} </information>\n"
        lines = passage_lines(hits, first_number)
        text = _block(lines, note)
        if max_chars is None or len(text) <= max_chars:
            return text
        fitting = fitted_lines(lines, lambda shorter: len(_block(shorter, note)) <= max_chars)
        return text[: max(0, max_chars - len(_CUT))] + _CUT if fitting is None else _block(fitting, note)

    def message(self, observation: str) -> dict[str, str]:
        """The observation as a chat message."""
        return {"role": self.observation_role, "content": observation}


def _block(lines: Sequence[str], note: str | None) -> str:
    body = "\n".join(lines) if lines or note else "no passage found"
    tail = f"\n{note}" if note and lines else (note or "")
    return f"\n<information> {body}{tail} </information>\n"
