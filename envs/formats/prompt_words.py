"""Text that all turn formats share: the task, the opening messages, the numbered passages."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

from ...retrieval_index.searcher import Hit
from ..questions import EpisodeSpec, Question
from ..world.english_voice import archive_words
from ..world.facts import WorldFacts
from .control_text import break_control_text

__all__ = ["CUT_MARK", "fitted_lines", "opening", "passage_lines", "question_words"]

CUT_MARK = " ..."
"""Ends a text that was cut."""

_LEAST_CHARS = 24
"""A passage cut to fewer characters says nothing."""


def question_words(question: Question, spec: EpisodeSpec) -> str:
    """The text of the question; control spellings are broken if `spec` asks for it."""
    return break_control_text(question.text) if spec.escape_special_tokens else question.text


def opening(
    question: Question, spec: EpisodeSpec, instructions: str, *, asked: str | None = None, system: str = ""
) -> list[dict[str, str]]:
    """The messages that open an episode; the template "bare" sends only the question.

    Args:
        question: the question.
        spec: the rules of the episode, which the instructions describe.
        instructions: the user message, a format text with {question} and optionally {budget}, {several} and {world}.
        asked: the question in the format's own wording; the plain question by default.
        system: a system message to put first; none by default.
    """
    words = question_words(question, spec) if asked is None else asked
    if spec.template == "bare":
        return [{"role": "user", "content": words}]
    text = instructions.format(question=words, budget=_budget(spec), several=_several(spec), world=_world(question))
    return [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": text}]


def passage_lines(hits: Sequence[Sequence[Hit]], first_number: int) -> list[str]:
    """ "[n] (Title: T) text" for each hit, numbered from `first_number`."""
    flat = [hit for ranking in hits for hit in ranking]
    return [
        f"[{number}] {f'(Title: {hit.title}) ' if hit.title else ''}{hit.text}"
        for number, hit in enumerate(flat, first_number)
    ]


def fitted_lines(lines: Sequence[str], fits: Callable[[Sequence[str]], bool]) -> list[str] | None:
    """The lines, the longest ones cut at whole words until all of them fit; None if only scraps would.

    Args:
        lines: one for each passage.
        fits: whether so many lines are short enough; shorter lines must not be refused.
    """

    def longest_that_fits(cut: Callable[[int], list[str]], most: int) -> int:
        return bisect.bisect(range(most), 0, key=lambda limit: not fits(cut(limit))) - 1

    limit = longest_that_fits(lambda limit: [_cut(line, limit) for line in lines], max(map(len, lines), default=0))
    if limit < _LEAST_CHARS:
        return None
    out = [_cut(line, limit) for line in lines]
    for at, line in enumerate(lines):  # whole words leave some room: the first passages get it
        before, after = out[:at], out[at + 1 :]
        own = longest_that_fits(lambda limit: [*before, _cut(line, limit), *after], len(line) + 1)  # noqa: B023
        out[at] = _cut(line, max(limit, own))
    return out


def _cut(line: str, max_chars: int) -> str:
    """The whole words of a line that fit into so many characters together with the mark of the cut."""
    if len(line) <= max_chars:
        return line
    part = line[: max(0, max_chars - len(CUT_MARK)) + 1]  # one more, to see whether a word ends there
    whole = part.rsplit(None, 1)[0] if not part[-1:].isspace() and len(part.split()) > 1 else part[:-1]
    return whole.rstrip() + CUT_MARK


def _world(question: Question) -> str:
    """A description of the World's archive for a World question; empty for other questions."""
    world = WorldFacts.of(question)
    return "" if world is None else "\n" + archive_words(world.kinds, world.num_answers)


def _budget(spec: EpisodeSpec) -> str:
    limit = spec.max_turns - 1 if spec.search_budget is None else spec.search_budget
    return "once" if limit == 1 else f"{limit} times at most"


def _several(spec: EpisodeSpec) -> str:
    """The instruction to give several answers; empty if one is wanted."""
    if spec.num_answers == 1:
        return ""
    return (
        f" Give {spec.num_answers} different answers in the one block, one a line, each with the numbers of "
        "the passages that support it, for example: Beijing [2]."
    )
