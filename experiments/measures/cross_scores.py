"""First queries scored under other questions by a language model: how much they tell of their own question."""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.information import question_information
from ...envs.record import EpisodeRecord, QuestionRecord
from .rollout import Rollout
from .score_again import episode_to_score

if TYPE_CHECKING:
    from ...policies.language.model import LanguageModelPolicy

__all__ = ["MOST_QUESTIONS", "FirstTurns", "add_question_information"]

MOST_QUESTIONS = 32
"""Questions of which the first queries are scored; the information is at most the logarithm of this number."""

_PER_QUESTION = 2
_MOST_TOKENS = 200_000

Key = tuple[str, int, int | None]
"""Question, sample and checkpoint step of a rollout."""


class FirstTurns:
    """The first turns of some questions of one arm, kept while its records pass by.

    The questions are those with the smallest hash of seed and id, so that arms over equal questions keep the same ones,
    in whatever order they come.

    Args:
        seed: chooses the questions.
        most: number of questions to keep.
    """

    def __init__(self, *, seed: int = 0, most: int = MOST_QUESTIONS) -> None:
        self._seed, self._most = seed, most
        self._order: list[tuple[str, str]] = []  # (hash, question id), sorted
        self._kept: dict[str, list[EpisodeRecord]] = {}

    def watch(self, records: Iterable[EpisodeRecord]) -> Iterator[EpisodeRecord]:
        """Yields the records unchanged; keeps the first turns that search."""
        for record in records:
            if record.turns and record.turns[0].action == "search" and record.turns[0].text:
                self._add(record)
            yield record

    def _add(self, record: EpisodeRecord) -> None:
        name = record.question.id
        if name not in self._kept:
            rank = (hashlib.sha256(f"{self._seed}:{name}".encode()).hexdigest(), name)
            if len(self._order) == self._most and rank > self._order[-1]:
                return
            insort(self._order, rank)
            self._kept[name] = []
            if len(self._order) > self._most:
                del self._kept[self._order.pop()[1]]
        kept = self._kept[name]
        if sum(other.checkpoint_step == record.checkpoint_step for other in kept) < _PER_QUESTION:
            first = record.turns[0].model_copy(update={"observation": "", "hits": [], "tokens": None})
            kept.append(record.model_copy(update={"turns": [first]}))

    def groups(self) -> list[list[EpisodeRecord]]:
        """The kept first turns by question; of questions with equal texts only the first."""
        texts: dict[str, list[EpisodeRecord]] = {}
        for _, name in self._order:
            texts.setdefault(" ".join(self._kept[name][0].question.text.split()), self._kept[name])
        return list(texts.values())


class _Score(NamedTuple):
    gain: float
    identified: float


def add_question_information(
    arms: Sequence[tuple[Sequence[Rollout], FirstTurns]],
    policy: LanguageModelPolicy,
    *,
    most_tokens: int = _MOST_TOKENS,
) -> None:
    """Scores the kept first turns under all kept questions, and writes what they tell into their rollouts.

    All arms use the same number of questions, because the information grows with it. Nothing is written where fewer
    than two questions remain, or where a turn does not fit into the policy's window.

    Args:
        arms: the rollouts of each arm, and its first turns.
        policy: scores the turns.
        most_tokens: tokens to score per arm, prompts included; fewer questions are used if 32 would need more.

    Raises:
        BerrypickError: a record has no rules, so that its prompt is unknown.
    """
    groups = [turns.groups() for _, turns in arms]
    size = min((_affordable(group, policy, most_tokens) for group in groups if len(group) > 1), default=0)
    for (rollouts, _), group in zip(arms, groups, strict=True):
        scores = _scores(group[:size], policy)
        for rollout in rollouts:
            found = scores.get((rollout.question.id, rollout.sample_index, rollout.checkpoint_step))
            if found is not None:
                rollout.query_information, rollout.question_identified = found


def _affordable(groups: Sequence[Sequence[EpisodeRecord]], policy: LanguageModelPolicy, most_tokens: int) -> int:
    """The most questions whose queries can be scored under all of them within the number of tokens, at least two."""
    from ...policies.language.episode_rows import rows_of

    rows = rows_of(policy, [episode_to_score(group[0]) for group in groups])
    length = float(np.mean([len(ids) for ids in rows.ids]))
    size = len(groups)
    while size > 2 and size * sum(map(len, groups[:size])) * length > most_tokens:
        size -= 1
    return size


def _scores(groups: Sequence[Sequence[EpisodeRecord]], policy: LanguageModelPolicy) -> dict[Key, _Score]:
    questions = [group[0].question for group in groups]
    turns = [(own, record) for own, group in enumerate(groups) for record in group]
    if len(questions) < 2:
        return {}
    table = np.array([_log_probs(record, questions, policy) for _, record in turns])
    fits = np.isfinite(table).all(1)
    own = [at for (at, _), good in zip(turns, fits) if good]
    if len(set(own)) < 2:
        return {}
    found = question_information(table[fits], own)
    kept = [record for (_, record), good in zip(turns, fits) if good]
    return {
        (record.question.id, record.sample_index, record.checkpoint_step): _Score(float(gain), float(first))
        for record, gain, first in zip(kept, *found, strict=True)
    }


def _log_probs(
    record: EpisodeRecord, questions: Sequence[QuestionRecord], policy: LanguageModelPolicy
) -> NDArray[np.float64]:
    """Log-probability of a first turn after each question's prompt, float64 [questions]; -inf if it is too long."""
    from ...policies.language.batches import log_probs_of_rows, used_length
    from ...policies.language.episode_rows import rows_of

    rows = rows_of(
        policy, [episode_to_score(record.model_copy(update={"question": question})) for question in questions]
    )
    if any(used_length(mask) > policy.window for mask in rows.masks):
        return np.full(len(questions), -np.inf)
    return np.array([float(values.double().sum()) for values, _ in log_probs_of_rows(policy.model, rows, 4096)])
