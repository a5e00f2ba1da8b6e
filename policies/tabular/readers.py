"""Tabular policies that answer: nothing if nothing was found, otherwise what they read in the last record.

A record of a World with `clauses` states several facts, each about an entity of its own. The policy's reading, a table
with a row for each kind of record, says which clause is taken: clause 0 is the one asked for, and each of the others is
one wrong answer, the same in all kinds of record, as a World groups facts alike in all of them. An answer is a number:
0 is none, 1 the right one, 2 and above the wrong ones. Only the last record can be misread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .choices import choice_probabilities, count_choices, draw_choices
from .kinds import Decisions, KindWorld, kind_probabilities, play
from .outcomes import Outcomes

__all__ = [
    "NONE",
    "RIGHT",
    "Answers",
    "Reader",
    "answer_chances",
    "last_kinds",
    "play_answers",
    "plurality",
    "vote_chances",
]

Array = NDArray[np.float64]
NONE, RIGHT = 0, 1


@dataclass(frozen=True, slots=True)
class Reader:
    """A policy that searches and reads.

    Attributes:
        search: float64, `KindWorld.table_shape`, logits of the next kind.
        reading: float64 [kinds, clauses], logits of the clause taken.
    """

    search: Array
    reading: Array


@dataclass(frozen=True, slots=True)
class Answers:
    """Episodes of a reader, one for each question.

    Attributes:
        played: the queries.
        kinds: int64 [questions], kind of the record that was read; 0 where none was.
        answers: int64 [questions].
    """

    played: Decisions
    kinds: NDArray[np.int64]
    answers: NDArray[np.int64]

    def reading_counts(self, kept: NDArray[np.bool_], shape: tuple[int, ...]) -> Array:
        """How often the kept episodes, bool [questions], took each clause of each kind, float64 [kinds, clauses]."""
        read = kept & (self.answers != NONE)
        return count_choices(shape, (self.kinds[read], self.answers[read] - RIGHT))


def play_answers(
    world: KindWorld, reader: Reader, questions: NDArray[np.int64], generator: np.random.Generator
) -> Answers:
    """Plays one episode for each question, int64 [questions]."""
    draws = generator.random((len(questions), world.budget + 1))
    played = play(world, kind_probabilities(reader.search), questions, draws[:, :-1])
    kinds = played.answers.argmax(1)
    clause = draw_choices(choice_probabilities(reader.reading).cumsum(1)[kinds], draws[:, -1])
    return Answers(played, kinds, np.where(played.success, RIGHT + clause, NONE))


def last_kinds(outcomes: Outcomes, hops: int, num_kinds: int) -> NDArray[np.int64]:
    """Kind of the last hop's record that each listed episode found, int64 [questions, episodes]; -1 if none."""
    bits = outcomes.codes["evidence"] >> ((hops - 1) * num_kinds)
    return np.where(outcomes.success, (bits[..., None] >> np.arange(num_kinds) & 1).argmax(-1), -1)


def answer_chances(outcomes: Outcomes, last: NDArray[np.int64], reading: Array) -> Array:
    """Exact chance of each answer, float64 [questions, 1 + clauses].

    Args:
        outcomes: all episodes with the chances of a reader's search.
        last: from `last_kinds`.
        reading: logits of the reader.
    """
    found = np.stack([(outcomes.chances * (last == kind)).sum(1) for kind in range(len(reading))], 1)
    read = found @ choice_probabilities(reading)
    return np.concatenate([1 - read.sum(1, keepdims=True), read], 1)


@lru_cache(maxsize=16)
def plurality(voters: int, num_answers: int) -> Array:
    """Chance that each answer wins a vote, float64 [num_answers ** voters, num_answers].

    The row of votes v_1..v_n is their number in base `num_answers`. The most frequent answer wins; of several, each is
    as likely; 0 is no vote, and wins if nobody votes.
    """
    rows = []
    for votes in product(range(num_answers), repeat=voters):
        rows.append(_winners(np.bincount(votes, minlength=num_answers)))
    return np.array(rows)


def vote_chances(voters: Sequence[Array]) -> Array:
    """Exact chance that each answer wins the vote of independent voters, float64 [questions, answers].

    Args:
        voters: [voter] chances of its answer on each question, from `answer_chances`.
    """
    num_answers = voters[0].shape[1]
    counted: dict[tuple[int, ...], Array] = {(0,) * num_answers: np.ones(len(voters[0]))}
    for chances in voters:
        after: dict[tuple[int, ...], Array] = {}
        for counts, mass in counted.items():
            for answer in range(num_answers):
                key = (*counts[:answer], counts[answer] + 1, *counts[answer + 1 :])
                after[key] = after.get(key, 0.0) + mass * chances[:, answer]
        counted = after
    tallies = np.array([_winners(np.array(counts)) for counts in counted])
    out: Array = np.stack(list(counted.values()), 1) @ tallies
    return out


def _winners(counts: NDArray[np.int64]) -> Array:
    votes = counts[1:]
    if not votes.any():
        nobody: Array = np.eye(len(counts))[NONE]
        return nobody
    won = votes == votes.max()
    shared: Array = np.concatenate([[0.0], won / won.sum()])
    return shared
