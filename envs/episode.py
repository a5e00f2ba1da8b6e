"""The state machine of an episode: `start` and `advance`. Environments, the rollout engine and adapters all use it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..retrieval_index.errors import SearchUnavailableError
from ..retrieval_index.searcher import Hit, Searcher
from .episode_state import OVER_BUDGET, UNAVAILABLE, Episode
from .formats.actions import encodable
from .formats.control_text import plain_hits
from .formats.observation_limit import LeadingChars, first_words, render_within
from .formats.tags import BUDGET_HINT, INVALID_HINT
from .formats.turn_format import Action, Answer, Invalid, Search, TurnFormat, get_turn_format
from .question_searcher import QuestionSearcher
from .questions import EpisodeSpec, Question
from .rewards import parse_reward
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
    "read_turn",
    "start",
]

_log = logging.getLogger(__name__)

MAX_TURN_CHARS = 100_000
"""A longer turn is invalid, and only its first characters are recorded. Ordinary turns are a hundredth as long."""


def start(question: Question, spec: EpisodeSpec) -> Episode:
    """A new episode with no turns."""
    return Episode(question, spec)


def advance(
    episodes: Sequence[Episode], drafts: Sequence[Draft], searcher: Searcher, *, leading: LeadingChars | None = None
) -> list[StepResult]:
    """Takes one turn in every episode. All searches of the step go out in one `search()` call, without duplicates.

    A search that would exceed the budget is refused as a whole and uses none of the budget. A turn that cannot be
    parsed gets a hint and uses up a turn. An answer ends the episode, and so does the last turn. If the searcher is
    unavailable (`SearchUnavailableError`), the episodes that searched are truncated and `env/search_unavailable` is 1.

    Args:
        episodes: unfinished episodes; they are changed in place.
        drafts: one turn for each episode.
        searcher: answers all valid queries of the step.
        leading: counts tokens for `EpisodeSpec.max_observation_tokens`; None limits observations by characters.

    Returns:
        One result for each episode, in order.
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
    unavailable = False
    try:
        found = iter(_search(searcher, searching, top_k))
    except SearchUnavailableError as failure:
        unavailable = True
        _log.warning("%s; the episodes that searched end here", failure)
    results = []
    for episode, (draft, action, error) in zip(episodes, parsed):
        if unavailable and isinstance(action, Search) and error is None:
            error = UNAVAILABLE
        hits: tuple[tuple[Hit, ...], ...] = ()
        if isinstance(action, Search) and error is None:
            hits = tuple(tuple(next(found)[: episode.spec.top_k]) for _ in action.queries)
        results.append(_take(episode, draft, action, hits, error, leading))
    return results


def _search(searcher: Searcher, searching: Sequence[tuple[Episode, tuple[str, ...]]], top_k: int) -> list[list[Hit]]:
    """The hits of all queries, in order. A query that several episodes make is searched once."""
    queries = [query for _, asked in searching for query in asked]
    if not queries:
        return []
    if isinstance(searcher, QuestionSearcher):
        # (question, number of queries its episode has made before), one pair for each query
        askers = [
            (episode.question, len(episode.queries) + at) for episode, asked in searching for at in range(len(asked))
        ]
        return searcher.search_for([asker for asker, _ in askers], [number for _, number in askers], queries, top_k)
    distinct = list(dict.fromkeys(queries))
    found = dict(zip(distinct, map(_encodable, searcher.search(distinct, top_k)), strict=True))
    return [found[query] for query in queries]


def _encodable(hits: list[Hit]) -> list[Hit]:
    """Hits that UTF-8 can encode, so that no passage of a searcher makes the record of an episode unwritable."""
    if all(text.isascii() for hit in hits for text in (hit.id, hit.title, hit.text)):
        return hits
    return [Hit(encodable(hit.id), encodable(hit.title), encodable(hit.text), hit.score) for hit in hits]


def read_turn(turn_format: TurnFormat, text: str) -> tuple[str, Action]:
    """The part of a policy's text that counts as its turn, without lone surrogates, and the action it asks for."""
    if len(text) > MAX_TURN_CHARS:
        return encodable(text[:MAX_TURN_CHARS]), Invalid(f"turn of more than {MAX_TURN_CHARS} characters")
    text = encodable(turn_format.cut(text))
    return text, turn_format.parse(text)


def _read(episode: Episode, draft: Draft) -> tuple[Draft, Action, str | None]:
    """The part of the draft that counts, its action, and the error of a search over budget."""
    text, action = read_turn(get_turn_format(episode.spec.turn_format), draft.text)
    budget = episode.spec.search_budget
    error = None
    if isinstance(action, Search) and budget is not None and len(episode.queries) + len(action.queries) > budget:
        error = OVER_BUDGET
    return replace(draft, text=text), action, error


def _take(
    episode: Episode,
    draft: Draft,
    action: Action,
    hits: tuple[tuple[Hit, ...], ...],
    error: str | None,
    leading: LeadingChars | None,
) -> StepResult:
    """Appends the turn, renders its observation, and pays the reward if the episode ends."""
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
        shown = first_words(hits, spec.max_passage_words)
        if spec.escape_special_tokens:
            shown = plain_hits(shown)
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
    """The info of a step; `SearchEnv` documents its keys."""
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
