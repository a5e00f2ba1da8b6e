"""The rollout engine: a policy, questions and a searcher become groups of episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..envs.episode import Episode, advance, start
from ..envs.questions import EpisodeSpec, Question
from ..retrieval_index.errors import BerrypickError
from ..retrieval_index.searcher import Searcher
from .counter_random import row_seed
from .policy import Policy, Sampling

__all__ = ["rollout"]


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
) -> list[list[Episode]]:
    """Plays every question `num_samples` times.

    All episodes of a batch advance together, with one batched search a round; those that end leave. A rollout's
    draws depend on hash(seed, question id, sample index) alone, not on who shares its batch.

    Args:
        policy: writes the turns.
        questions: what is asked; a question may not stand twice.
        spec: the rules.
        searcher: answers the queries.
        num_samples: rollouts a question, the group size.
        sampling: how tokens are drawn.
        seed: of the whole call.
        max_rows: most episodes played at a time.
        on_progress: called after each batch with the number of episodes played and the batch.

    Returns:
        Ended episodes, [question][sample].
    """
    if num_samples < 1 or max_rows < 1:
        raise BerrypickError(f"num_samples and max_rows must be at least 1, got {num_samples} and {max_rows}")
    if len({question.id for question in questions}) < len(questions):
        raise BerrypickError("a question stands twice in one rollout; ask for more num_samples instead")
    jobs = [(question, sample) for question in questions for sample in range(num_samples)]
    done: list[Episode] = []
    for first in range(0, len(jobs), max_rows):
        batch = jobs[first : first + max_rows]
        seeds = [row_seed(seed, question.id, sample) for question, sample in batch]
        episodes = _play(policy, [question for question, _ in batch], spec, searcher, seeds, sampling)
        done += episodes
        if on_progress:
            on_progress(len(done), episodes)
    return [done[at : at + num_samples] for at in range(0, len(done), num_samples)]


def _play(
    policy: Policy,
    questions: Sequence[Question],
    spec: EpisodeSpec,
    searcher: Searcher,
    seeds: Sequence[int],
    sampling: Sampling,
) -> list[Episode]:
    session = policy.start(questions, spec, seeds, sampling)
    episodes = [start(question, spec) for question in questions]
    live = list(range(len(episodes)))
    while live:
        drafts = session.act(live)
        results = advance([episodes[row] for row in live], drafts, searcher)
        ended = [row for row in live if episodes[row].done]
        going = [(row, result.observation) for row, result in zip(live, results) if not episodes[row].done]
        session.finish(ended)
        session.observe([row for row, _ in going], [text for _, text in going])
        live = [row for row, _ in going]
    return episodes
