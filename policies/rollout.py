"""The rollout engine: plays questions with a policy and a searcher, and returns groups of episodes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..envs.episode import Draft, Episode, StepResult, Turn, advance, read_turn, start
from ..envs.formats.actions import encodable
from ..envs.formats.observation_limit import LeadingChars
from ..envs.formats.turn_format import get_turn_format
from ..envs.questions import EpisodeSpec, Question
from ..envs.rewards import parse_reward
from ..retrieval_index.errors import BerrypickError, SearchUnavailableError
from ..retrieval_index.plain_text import safe_text
from ..retrieval_index.searcher import Hit, Searcher
from .counter_random import row_seed
from .out_of_memory import ran_out_of_memory
from .policy import BoundedByMemory, CompletesEpisodes, Policy, Sampling

__all__ = ["SEARCH_FAILED", "WINDOW_FULL", "rollout", "rows_at_a_time"]

logger = logging.getLogger(__name__)

WINDOW_FULL = "context window full"
"""`Turn.error` of an episode that ended because the policy's context window had no room for a turn."""

SEARCH_FAILED = "search failed"
"""`Turn.error` starts with this if an episode ended because the searcher failed."""


def rollout(
    policy: Policy,
    questions: Sequence[Question],
    spec: EpisodeSpec,
    searcher: Searcher,
    *,
    num_samples: int,
    sampling: Sampling,
    seed: int,
    max_rows: int = 512,
    on_progress: Callable[[int, Sequence[Episode]], None] | None = None,
    on_turn: Callable[[Sequence[Episode]], None] | None = None,
) -> list[list[Episode]]:
    """Plays every question `num_samples` times.

    All episodes of a batch advance together, with one batched search per turn, until each has ended. The draws of a
    rollout depend only on hash(seed, question id, sample index), not on the other episodes of its batch.

    Args:
        policy: writes the turns.
        questions: each question once.
        spec: the rules of the episodes.
        searcher: answers the queries.
        num_samples: rollouts per question, the group size.
        sampling: how tokens are drawn.
        seed: of the whole call.
        max_rows: most episodes played at a time; fewer if more do not fit into memory.
        on_progress: called after each batch with the number of episodes played so far and the batch.
        on_turn: called with the episodes that have just taken a turn, after each turn of a batch.

    Returns:
        Ended episodes, [question][sample].

    Raises:
        BerrypickError: a question occurs twice, or every search of a batch failed.
    """
    if num_samples < 1 or max_rows < 1:
        raise BerrypickError(f"num_samples and max_rows must be at least 1, got {num_samples} and {max_rows}")
    if len({question.id for question in questions}) < len(questions):
        raise BerrypickError("a question occurs twice in one rollout; raise num_samples instead")
    jobs = [(question, sample) for question in questions for sample in range(num_samples)]
    done: list[Episode] = []
    while len(done) < len(jobs):
        most = rows_at_a_time(policy, questions, spec, sampling, num_samples, max_rows)
        batch = jobs[len(done) : len(done) + most]
        seeds = [row_seed(seed, question.id, sample) for question, sample in batch]
        try:
            episodes = _play(policy, [question for question, _ in batch], spec, searcher, seeds, sampling, on_turn)
        except (MemoryError, RuntimeError) as error:
            max_rows = _fewer_rows(error, len(batch))
            continue
        done += episodes
        if on_progress:
            on_progress(len(done), episodes)
    return [done[at : at + num_samples] for at in range(0, len(done), num_samples)]


def rows_at_a_time(
    policy: Policy,
    questions: Sequence[Question],
    spec: EpisodeSpec,
    sampling: Sampling,
    num_samples: int,
    max_rows: int,
) -> int:
    """Episodes to play at a time: as many as fit into memory, at most `max_rows`; whole groups if possible."""
    fit = policy.rows_that_fit(questions, spec, sampling) if isinstance(policy, BoundedByMemory) else max_rows
    most = max(1, min(max_rows, fit))
    return most - most % num_samples if most > num_samples else most


def _fewer_rows(error: Exception, num_rows: int) -> int:
    """Half of the rows, after memory ran out; raises the error if it is another one."""
    if not ran_out_of_memory(error):
        raise error
    if num_rows == 1:
        raise BerrypickError(
            "memory ran out while one episode was played; shorten episodes (max_turns, max_observation_chars, "
            "--max-new-tokens), use --dtype bfloat16, or free some memory"
        ) from error
    logger.warning(
        "memory ran out with %d episodes at a time; playing %d, and nothing is lost; --max-rows %d avoids this",
        num_rows,
        num_rows // 2,
        num_rows // 2,
    )
    return num_rows // 2


def _play(
    policy: Policy,
    questions: Sequence[Question],
    spec: EpisodeSpec,
    searcher: Searcher,
    seeds: Sequence[int],
    sampling: Sampling,
    on_turn: Callable[[Sequence[Episode]], None] | None,
) -> list[Episode]:
    session = policy.start(questions, spec, seeds, sampling)
    episodes = [start(question, spec) for question in questions]
    live = list(range(len(episodes)))
    leading: LeadingChars | None = getattr(session, "leading_chars", None)  # only sessions with a tokenizer have it
    while live:
        drafts = session.act(live)
        answers = _advance([episodes[row] for row in live], drafts, searcher, leading)
        if on_turn:
            on_turn([episodes[row] for row in live])
        session.finish([row for row in live if episodes[row].done])
        going = [(row, text) for row, text in zip(live, answers) if not episodes[row].done]
        session.observe([row for row, _ in going], [text for _, text in going])
        live = [row for row, _ in going]
    _check_searcher(episodes)
    if isinstance(policy, CompletesEpisodes):
        policy.complete(episodes)
    return episodes


def _advance(
    episodes: Sequence[Episode], drafts: Sequence[Draft], searcher: Searcher, leading: LeadingChars | None
) -> list[str]:
    """Plays one turn of each episode; returns the observations.

    Ends an episode whose context has no room for a turn, or whose own query makes the searcher raise anything. An
    exception raised after turns were added to episodes does not come from the search, so it propagates.
    """
    writing = []
    for at, (episode, draft) in enumerate(zip(episodes, drafts, strict=True)):
        if draft.tokens is not None and not len(draft.tokens.ids):
            _end(episode, draft, WINDOW_FULL)
        else:
            writing.append(at)
    out = [""] * len(episodes)
    num_turns = [len(episode.turns) for episode in episodes]
    try:
        results = advance([episodes[at] for at in writing], [drafts[at] for at in writing], searcher, leading=leading)
    except Exception as failure:
        if [len(episode.turns) for episode in episodes] != num_turns:
            raise
        logger.warning("a search failed (%s); trying its queries one episode at a time", safe_text(str(failure)))
        # A server that stayed unreachable after all retries would make every episode wait again, so it is not asked.
        again = _Gone(failure) if isinstance(failure, SearchUnavailableError) else searcher
        results = [_advance_alone(episodes[at], drafts[at], again, leading) for at in writing]
    for at, result in zip(writing, results):
        out[at] = result.observation
    return out


@dataclass(frozen=True)
class _Gone:
    """A searcher that always fails."""

    failure: Exception
    index_id: str = ""

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        raise self.failure

    def close(self) -> None:
        pass


def _advance_alone(episode: Episode, draft: Draft, searcher: Searcher, leading: LeadingChars | None) -> StepResult:
    try:
        (result,) = advance([episode], [draft], searcher, leading=leading)
    except Exception as failure:
        _end(episode, draft, f"{SEARCH_FAILED}: {failure}")
        result = StepResult("", episode.reward, False, True, {})
    return result


def _end(episode: Episode, draft: Draft, error: str) -> None:
    """Truncates an episode at a turn that could not be played."""
    text, action = read_turn(get_turn_format(episode.spec.turn_format), draft.text)
    episode.turns.append(Turn(replace(draft, text=text), action, (), "", encodable(error)))
    episode.truncated = True
    episode.reward = float(parse_reward(episode.spec.reward)(episode.facts()))


def _check_searcher(episodes: Sequence[Episode]) -> None:
    errors = [turn.error for episode in episodes for turn in episode.turns if turn.error]
    failed = [error for error in errors if error.startswith(SEARCH_FAILED)]
    if failed and not any(episode.queries for episode in episodes):
        raise BerrypickError(f"every query of a rollout failed ({failed[0]}); repair the index or its server")
