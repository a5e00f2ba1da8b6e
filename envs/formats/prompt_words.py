"""Text that all turn formats share: the task, the opening messages, the numbered passages."""

from __future__ import annotations

from collections.abc import Sequence

from ...retrieval_index.searcher import Hit
from ..questions import EpisodeSpec, Question
from ..world.english_voice import archive_words
from ..world.facts import WorldFacts
from .control_text import break_control_text

__all__ = ["opening", "passage_lines", "question_words"]


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
