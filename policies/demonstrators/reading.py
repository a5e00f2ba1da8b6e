"""What a bridge demonstrator reads: the texts of observations, and the queries that they and the question allow."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...envs.questions import Question
from .spans import Span, content_words, find_answer, find_mention, names_in, plain_words, spaces, widened

__all__ = ["PHRASINGS", "Reader", "bridge_titles", "is_yes_or_no", "plain_observation"]

PHRASINGS = ("name", "question", "name and words", "clause")
"""Ways to word a query: the name of the wanted passage, the whole question, the name with words of the question, and
the name with its neighbours in the text."""

_MOST_WORDS = 4
"""Words of the question that follow a name."""


def bridge_titles(question: Question) -> tuple[str, ...]:
    """Titles of the passages with the question's evidence, each once; () where it is unknown."""
    return tuple(dict.fromkeys(map(str, question.metadata.get("supporting_titles", ()))))


def is_yes_or_no(answer: str) -> bool:
    """Whether it is an answer that no text needs to show."""
    return answer.strip().lower().strip(".") in ("yes", "no")


def plain_observation(observation: str) -> str:
    """The words of an observation: without tags, and out of the JSON of a tool response."""
    text = re.sub(r"</?(?:information|tool_response)>", " ", observation).strip()
    if text.startswith("{"):
        with contextlib.suppress(ValueError, AttributeError):
            text = "\n".join(map(str, json.loads(text).values()))
    return text


@dataclass(slots=True)
class Reader:
    """What one episode's demonstrator has read so far.

    Attributes:
        question: the question; of its annotation it uses the titles, and the answers of its steps.
        shown: the plain texts of the observations, in order.
    """

    question: Question
    shown: list[str] = field(default_factory=list)

    def missing(self) -> list[str]:
        """Titles of evidence not shown so far, those named in the question first, in the order of their names."""
        titles = [title for title in bridge_titles(self.question) if not self._has(title)]
        at = {title: find_mention(title, self.question.text) for title in titles}
        return sorted(titles, key=lambda title: span.start if (span := at[title]) else len(self.question.text))

    def in_question(self, title: str) -> bool:
        """Whether the question names the title."""
        return find_mention(title, self.question.text) is not None

    def queries(self, title: str) -> dict[str, str]:
        """phrasing -> query for a title; of a title that no text names, only "question"."""
        question = spaces(self.question.text)
        found = self._mention(title)
        if found is None:
            return {"question": question}
        text, span = found
        words = [word for word in plain_words(self.question.text) if word.lower() not in span.text.lower()]
        return {
            "name": span.text,
            "question": question,
            "name and words": " ".join([span.text, *words[:_MOST_WORDS]]),
            "clause": widened(text, span),
        }

    def guesses(self) -> list[str]:
        """Queries for a passage whose title was not read: the question, its names, its words, names shown last."""
        text = self.question.text
        shown = names_in(self.shown[-1]) if self.shown else []
        return [spaces(text), *names_in(text), " ".join(content_words(text)), *shown]

    def readable(self, title: str) -> bool:
        """Whether a name for the title was read."""
        return self._mention(title) is not None

    def answer(self) -> str | None:
        """The answer as it was shown; "yes" and "no" need not be shown. None if it was not shown."""
        for answer in self.question.answers:
            if is_yes_or_no(answer):
                return answer
            for text in reversed(self.shown):
                if (span := find_answer(answer, text)) is not None:
                    return span
        return None

    def sentence(self, part: str, *, most_words: int = 24) -> str:
        """The sentence of the newest observation that contains a span, cut to so many words around it; "" if none."""
        for sentence in _sentences(self.shown[-1]) if self.shown and part else ():
            at = sentence.lower().find(part.lower())
            if at < 0:
                continue
            words, before = sentence.split(), len(sentence[:at].split())
            after = before + len(part.split())
            first = 0 if after <= most_words else min(before, after - most_words + 4)
            return " ".join(words[first : first + most_words])
        return ""

    def _has(self, title: str) -> bool:
        return any(f"(Title: {title})" in text or f'(Title: "{title}")' in text for text in self.shown)

    def _mention(self, title: str) -> tuple[str, Span] | None:
        """The text that names a title, with the name: the question, else the newest observation.

        If no text names the title, the newest answer of an annotated step is used instead.
        """
        texts = [self.question.text, *reversed(self.shown)]
        for text in texts:
            if (span := find_mention(title, text)) is not None:
                return text, span
        for step in reversed(self._step_answers()):
            if find_answer(step, self.question.text) is None:
                for text in texts[1:]:
                    if (span := find_mention(step, text)) is not None:
                        return text, span
        return None

    def _step_answers(self) -> Sequence[str]:
        """Answers of the annotated steps but the last, whose answer is that of the question."""
        steps = self.question.metadata.get("decomposition")
        if not isinstance(steps, list):
            return ()
        answers = [step.get("answer") for step in steps if isinstance(step, dict)]
        return [answer for answer in answers[:-1] if isinstance(answer, str) and answer.strip()]


def _sentences(text: str) -> list[str]:
    lines = [re.sub(r"^\[\d+\] \(Title: .+?\) |^Doc \d+\(Title: .+?\) ", "", line) for line in text.splitlines()]
    return [part for line in lines for part in re.split(r"(?<=[.!?])\s+(?=[A-Z\"'(])", line.strip()) if part]
