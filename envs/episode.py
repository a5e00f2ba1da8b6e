"""The one state machine of an episode; environments, the rollout engine and adapters are shells over it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..retrieval_index.errors import SearchUnavailableError
from ..retrieval_index.searcher import Hit, Searcher
from .answers import exact_match
from .formats.actions import encodable
from .formats.control_text import plain_hits
from .formats.observation_limit import LeadingChars, render_within
from .formats.tags import BUDGET_HINT, INVALID_HINT
from .formats.turn_format import Action, Answer, Candidate, Invalid, Search, get_turn_format
from .question_searcher import QuestionSearcher
from .questions import EpisodeSpec, Question
from .rewards import EpisodeFacts, parse_reward
from .turn import Draft, StepResult, Tokens, Turn

__all__ = [
    "BUDGET_HINT",
    "INVALID_HINT",
    "MAX_TURN_CHARS",
    "OVER_BUDGET",
    "UNAVAILABLE",
    "Draft",
    "Episode",
    "StepResult",
    "Tokens",
    "Turn",
    "advance",
    "start",
]

_log = logging.getLogger(__name__)

MAX_TURN_CHARS = 100_000
"""A longer turn is no action and is kept only so far; every honest turn is a hundredth of it."""

OVER_BUDGET, UNAVAILABLE = "search budget exceeded", "search unavailable"
"""`Turn.error` of a refused search, and of one that the searcher did not answer."""


@dataclass(slots=True)
class Episode:
    """One question being answered. Picklable; holds no searcher and no generator."""

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
        """The turns whose tokens are known, with them."""
        for turn in self.turns:
            if turn.draft.tokens is not None:
                yield turn, turn.draft.tokens

    @property
    def queries(self) -> list[str]:
        """Queries that were searched, in order; refused ones are not among them."""
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
        """The first candidate of the answer, the one pass@1 scores."""
        return self.answer.candidates[0].text if self.answer else None

    @property
    def correct(self) -> bool:
        """Exact match of the first candidate."""
        return self.prediction is not None and bool(exact_match(self.prediction, self.question.answers))

    @property
    def num_invalid(self) -> int:
        """Turns that were no valid action: unparsable, or refused for the budget."""
        return sum(isinstance(turn.action, Invalid) or turn.error == OVER_BUDGET for turn in self.turns)

    def facts(self) -> EpisodeFacts:
        """What rewards may depend on: only what the policy wrote and what it was shown."""
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
        )


def start(question: Question, spec: EpisodeSpec) -> Episode:
    """A fresh episode."""
    return Episode(question, spec)


def advance(
    episodes: Sequence[Episode], drafts: Sequence[Draft], searcher: Searcher, *, leading: LeadingChars | None = None
) -> list[StepResult]:
    """Takes one turn in every episode with one `search()` call for all of them, which gets each distinct query once.

    A search that would exceed the budget is refused whole and costs nothing. A turn that cannot be parsed gets a
    hint and costs a turn. An answer ends the episode; so does the last turn. Where the searcher stays away
    (`SearchUnavailableError`), the episodes that searched are truncated and `env/search_unavailable` counts them.

    Args:
        episodes: unfinished episodes; they are changed in place.
        drafts: one turn for each.
        searcher: answers all valid queries of the step.
        leading: counts tokens, where the policy holds a tokenizer; `EpisodeSpec.max_observation_tokens` needs it.
    """
    if len(episodes) != len(drafts):
        raise ValueError(f"{len(episodes)} episodes but {len(drafts)} drafts")
    if any(episode.done for episode in episodes):
        raise ValueError("an episode that has ended cannot advance; start a new one")
    parsed = [_read(episode, draft) for episode, draft in zip(episodes, drafts)]
    searching = [
        (episode, action.queries)
        for episode, (_, action, error) in zip(episodes, parsed)
        if isinstance(action, Search) and not error
    ]
    top_k = max((episode.spec.top_k for episode in episodes), default=1)
    away = False
    try:
        found = iter(_search(searcher, searching, top_k))
    except SearchUnavailableError as failure:
        away = True
        _log.warning("%s; the episodes that searched end here", failure)
    results = []
    for episode, (draft, action, error) in zip(episodes, parsed):
        if away and isinstance(action, Search) and error is None:
            error = UNAVAILABLE
        hits: tuple[tuple[Hit, ...], ...] = ()
        if isinstance(action, Search) and error is None:
            hits = tuple(tuple(next(found)[: episode.spec.top_k]) for _ in action.queries)
        results.append(_take(episode, draft, action, hits, error, leading))
    return results


def _search(searcher: Searcher, searching: Sequence[tuple[Episode, tuple[str, ...]]], top_k: int) -> list[list[Hit]]:
    """The hits of all queries, in their order; what several episodes ask alike is searched once."""
    queries = [query for _, asked in searching for query in asked]
    if not queries:
        return []
    if isinstance(searcher, QuestionSearcher):
        who = [(one.question, len(one.queries) + at) for one, asked in searching for at in range(len(asked))]
        return searcher.search_for([question for question, _ in who], [number for _, number in who], queries, top_k)
    distinct = list(dict.fromkeys(queries))
    found = dict(zip(distinct, searcher.search(distinct, top_k), strict=True))
    return [found[query] for query in queries]


def _read(episode: Episode, draft: Draft) -> tuple[Draft, Action, str | None]:
    turn_format = get_turn_format(episode.spec.turn_format)
    if len(draft.text) > MAX_TURN_CHARS:
        kept = Draft(encodable(draft.text[:MAX_TURN_CHARS]), draft.tokens, draft.stopped_by)
        return kept, Invalid(f"turn of more than {MAX_TURN_CHARS} characters"), None
    text = encodable(turn_format.cut(draft.text))
    action = turn_format.parse(text)
    budget = episode.spec.search_budget
    error = None
    if isinstance(action, Search) and budget is not None and len(episode.queries) + len(action.queries) > budget:
        error = OVER_BUDGET
    return Draft(text, draft.tokens, draft.stopped_by), action, error


def _take(
    episode: Episode,
    draft: Draft,
    action: Action,
    hits: tuple[tuple[Hit, ...], ...],
    error: str | None,
    leading: LeadingChars | None,
) -> StepResult:
    spec = episode.spec
    first_number = len(episode.hits) + 1
    terminated = isinstance(action, Answer)
    truncated = not terminated and (len(episode.turns) + 1 >= episode.spec.max_turns or error == UNAVAILABLE)
    observation = ""
    if not isinstance(action, Answer):
        turn_format = get_turn_format(spec.turn_format)
        note = turn_format.invalid_hint if isinstance(action, Invalid) else None
        if error is not None:
            note = turn_format.budget_hint if error == OVER_BUDGET else error
        shown = plain_hits(hits) if spec.escape_special_tokens else hits
        observation = render_within(turn_format, action, shown, first_number, note, spec, leading)
        if leading is not None and spec.max_observation_tokens is not None:
            episode.observation_unit = "tokens"
    episode.turns.append(Turn(draft, action, hits, observation, error))
    episode.terminated, episode.truncated = terminated, truncated
    if episode.done:
        episode.reward = float(parse_reward(episode.spec.reward)(episode.facts()))
    return StepResult(
        observation,
        episode.reward if episode.done else 0.0,
        terminated,
        truncated,
        _info(episode, episode.turns[-1]),
    )


def _info(episode: Episode, turn: Turn) -> dict[str, Any]:
    shown = episode.shown_ids
    num_turns = len(episode.turns)
    return {
        "question_id": episode.question.id,
        "messages": episode.messages,
        "retrieved_ids": [[hit.id for hit in ranking] for ranking in turn.hits],
        "retrieved_scores": [[hit.score for hit in ranking] for ranking in turn.hits],
        "hops_hit": [[not shown.isdisjoint(hop) for hop in path] for path in episode.question.evidence],
        "error": turn.error,
        "env/number_of_actions": num_turns,
        "env/number_of_valid_action": num_turns - episode.num_invalid,
        "env/number_of_valid_search": len(episode.queries),
        "env/ratio_of_valid_action": (num_turns - episode.num_invalid) / num_turns,
        "env/finish_ratio": float(episode.terminated),
        "env/search_unavailable": float(turn.error == UNAVAILABLE),
        "search/num_distinct_passages": len(shown),
        "search/budget_left": None
        if episode.spec.search_budget is None
        else episode.spec.search_budget - len(episode.queries),
    }
