"""The state of an episode: the question, the rules, the turns so far, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ..retrieval_index.searcher import Hit
from .answers import exact_match
from .formats.turn_format import Answer, Candidate, Invalid, Search, get_turn_format
from .questions import EpisodeSpec, Question
from .rewards import EpisodeFacts
from .turn import Tokens, Turn

__all__ = ["OVER_BUDGET", "UNAVAILABLE", "Episode"]

OVER_BUDGET = "search budget exceeded"
"""`Turn.error` of a refused search."""

UNAVAILABLE = "search unavailable"
"""`Turn.error` of a search that the searcher did not answer."""


@dataclass(slots=True)
class Episode:
    """One question being answered. An episode holds no searcher and no random generator, so it can be pickled."""

    question: Question
    spec: EpisodeSpec
    turns: list[Turn] = field(default_factory=list)
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    observation_unit: Literal["characters", "tokens"] = "characters"

    @property
    def done(self) -> bool:
        """Whether the episode has ended, by an answer or by a limit."""
        return self.terminated or self.truncated

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt, then turns and observations as assistant and user messages."""
        turn_format = get_turn_format(self.spec.turn_format)
        out = turn_format.prompt(self.question, self.spec)
        for turn in self.turns:
            out.append({"role": "assistant", "content": turn.draft.text})
            if turn.observation:
                out.append(turn_format.message(turn.observation))
        return out

    @property
    def token_turns(self) -> Iterator[tuple[Turn, Tokens]]:
        """The turns whose sampled tokens are known, each with its tokens."""
        for turn in self.turns:
            if turn.draft.tokens is not None:
                yield turn, turn.draft.tokens

    @property
    def queries(self) -> list[str]:
        """Queries that were searched, in order; refused queries are left out."""
        return [
            query
            for turn in self.turns
            if isinstance(turn.action, Search) and turn.error is None
            for query in turn.action.queries
        ]

    @property
    def hits(self) -> list[Hit]:
        """All passages shown so far, in order; hits[n - 1] is passage [n]."""
        return [hit for turn in self.turns for ranking in turn.hits for hit in ranking]

    @property
    def shown_ids(self) -> frozenset[str]:
        """Ids of all passages shown so far."""
        return frozenset(hit.id for hit in self.hits)

    @property
    def answer(self) -> Answer | None:
        """The final answer block, if one was given."""
        last = self.turns[-1].action if self.turns else None
        return last if isinstance(last, Answer) else None

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates that count: the first `num_answers` of the answer block."""
        return self.answer.candidates[: self.spec.num_answers] if self.answer else ()

    @property
    def prediction(self) -> str | None:
        """The first candidate of the answer, which pass@1 scores; None without an answer."""
        return self.answer.candidates[0].text if self.answer else None

    @property
    def correct(self) -> bool:
        """Whether the first candidate is an exact match."""
        if self.prediction is None:
            return False
        return bool(exact_match(self.prediction, self.question.answers, self.spec.scoring))

    @property
    def num_invalid(self) -> int:
        """Number of turns that were not a valid action: unparsable, or a search over budget."""
        return sum(isinstance(turn.action, Invalid) or turn.error == OVER_BUDGET for turn in self.turns)

    def facts(self) -> EpisodeFacts:
        """Everything a reward may depend on: what the policy wrote and what it was shown."""
        return EpisodeFacts(
            prediction=self.prediction,
            answers=self.question.answers,
            evidence=self.question.evidence,
            shown_ids=self.shown_ids,
            num_queries=len(self.queries),
            num_invalid=self.num_invalid,
            num_turns=len(self.turns),
            candidates=tuple(candidate.text for candidate in self.candidates),
            answers_by_path=self.question.answers_by_path,
            scoring=self.spec.scoring,
        )
