"""The bridge demonstrator: asks what can be read, hop by hop, and copies the answer from what was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...envs.episode import Draft, Episode
from ...envs.questions import EpisodeSpec, Question
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ..policy import Sampling
from .reading import Reader, bridge_titles, is_yes_or_no, plain_observation
from .turns import budget_of, check_format, written

__all__ = ["WAYS", "BridgePolicy", "bridge_policy"]

UNKNOWN = "unknown"

_PATIENCE = 2
"""Queries for one passage before others are tried."""

WAYS: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("name", "name and words", "question", "clause"), False),
    (("question", "name", "name and words", "clause"), False),
    (("name and words", "name", "question", "clause"), True),
    (("clause", "name", "name and words", "question"), True),
)
"""Ways to demonstrate a question: phrasings in the order they are tried, and whether names are taken from the end of
the question. A later phrasing is tried if a search did not bring the wanted passage."""

REASONS = (
    "yes or no without annotated evidence",
    "more hops than searches",
    "query not readable",
    "evidence not found",
    "answer not in the text shown",
)
"""Why an episode is no demonstration, from its start to its end."""


@dataclass(frozen=True, slots=True)
class BridgePolicy:
    """A demonstrator for questions with annotated evidence, or with an answer that a search for the question shows.

    Each query is a span of the question or of a passage shown before, such a span with words of the question, or the
    whole question. Evidence is searched in the order in which its names can be read. The answer is copied from the text
    shown. A question without annotated evidence is asked as it is, then in fewer words, until its answer is shown.

    Attributes:
        policy_id: its name with its options.
        ways: each row draws one of so many `WAYS`; as a demonstrator, the most different demonstrations of a question.
        thoughts: restate the sentence that a query or an answer is taken from.
        way: the only way of all rows; None draws it.
    """

    policy_id: str = "bridge"
    ways: int = 1
    thoughts: bool = False
    way: int | None = None
    exact_tokens: bool = False
    reasons: tuple[str, ...] = REASONS
    summary: str = "is told evidence and answer: searches names that can be read, answers once the answer is shown"

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> _BridgeSession:
        """Opens a session with one row per question; the way of row i depends only on seeds[i]."""
        check_format(spec.turn_format)
        rows = []
        for question, seed in zip(questions, seeds, strict=True):
            if WorldFacts.of(question) is not None:
                raise BerrypickError("bridge reads names in real text; use random_order on berrypick/World-v0")
            drawn = int(np.random.default_rng(seed).integers(self.ways))
            phrasings, from_the_end = WAYS[drawn if self.way is None else self.way]
            rows.append(_Row(Reader(question), spec, phrasings, from_the_end, self.thoughts))
        return _BridgeSession(rows)

    def variants(self) -> list[BridgePolicy]:
        """One policy for each of `WAYS`, whatever `ways` is: all sets of demonstrations then ask the same questions."""
        return [replace(self, way=way) for way in range(len(WAYS))]

    def why_not(self, episode: Episode) -> str:
        """Why an episode of this policy is no demonstration, one of `REASONS`; "" if it is one."""
        evidence = episode.question.evidence
        if not evidence and any(map(is_yes_or_no, episode.question.answers)):
            return REASONS[0]
        shown = episode.shown_ids
        if evidence and not any(all(shown & hop for hop in path) for path in evidence):
            if len(bridge_titles(episode.question)) > budget_of(episode.spec):
                return REASONS[1]
            reader = Reader(episode.question, [plain_observation(turn.observation) for turn in episode.turns])
            return REASONS[3] if all(map(reader.readable, reader.missing())) else REASONS[2]
        return "" if episode.correct else REASONS[4]


def bridge_policy(name: str) -> BridgePolicy:
    """The policy of a name with options, for example "bridge:ways=4,thoughts=true".

    Raises:
        UnknownNameError: no such option.
        BerrypickError: an option cannot take that value.
    """
    options = name.partition(":")[2]
    given: dict[str, object] = {}
    known = ("ways", "thoughts")
    for option in filter(None, options.split(",")):
        key, _, text = option.partition("=")
        if key not in known:
            raise UnknownNameError("option of bridge", key, known)
        if key == "ways":
            if not text.isdecimal() or not 1 <= int(text) <= len(WAYS):
                raise BerrypickError(f"bridge: ways must be 1 to {len(WAYS)}, got {text!r}; write for example ways=4")
            given[key] = int(text)
        elif text.lower() in ("true", "false"):
            given[key] = text.lower() == "true"
        else:
            raise BerrypickError(f"bridge: thoughts must be true or false, got {text!r}; write thoughts=true")
    return BridgePolicy(policy_id=name, **given)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Row:
    reader: Reader
    spec: EpisodeSpec
    phrasings: tuple[str, ...]
    from_the_end: bool
    thoughts: bool
    asked: list[str] = field(default_factory=list)
    searched_for: list[str] = field(default_factory=list)  # titles, one for each query with a name

    def turn(self) -> str:
        query = self._query() if len(self.asked) < budget_of(self.spec) else None
        if query is None:
            answer = self.reader.answer() or UNKNOWN
            return self._written("answer", answer)
        self.asked.append(query)
        return self._written("search", query)

    def _query(self) -> str | None:
        """The next query: the first new one for the first missing passage that can be named, else a guess.

        A passage that two queries did not bring waits until others were tried.
        """
        reader = self.reader
        missing = reader.missing()
        named = [title for title in missing if reader.in_question(title)]
        later = [title for title in missing if title not in named and reader.readable(title)]
        in_order = [*(reversed(named) if self.from_the_end else named), *later]
        for title in sorted(in_order, key=lambda title: self.searched_for.count(title) >= _PATIENCE):
            queries = reader.queries(title)
            for phrasing in self.phrasings:
                if queries[phrasing] not in self.asked:
                    self.searched_for.append(title)
                    return queries[phrasing]
        sought = missing or (not reader.question.evidence and reader.answer() is None)
        guesses = reader.guesses() if sought else []
        return next((guess for guess in guesses if guess and guess not in self.asked), None)

    def _written(self, kind: str, body: str) -> str:
        thought = self.reader.sentence(body) if self.thoughts else ""
        return (f"<think> {thought} </think> " if thought else "") + written(self.spec.turn_format, kind, body)


@dataclass(slots=True)
class _BridgeSession:
    rows: list[_Row]

    def act(self, rows: Sequence[int]) -> list[Draft]:
        return [Draft(self.rows[row].turn()) for row in rows]

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        for row, text in zip(rows, texts, strict=True):
            self.rows[row].reader.shown.append(plain_observation(text))

    def finish(self, rows: Sequence[int]) -> None:
        pass

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        raise BerrypickError("a scripted policy has no tokens, so it cannot be trained; use a language model")
