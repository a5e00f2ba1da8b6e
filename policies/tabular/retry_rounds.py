"""Rounds of self-training on right episodes, with or without retries of wrong ones (arXiv 2411.16579), for a table.

A round plays some first attempts at each training question. A question without a right one is tried once more for each
attempt, with or without a comment on it. Right first attempts and at most one right retry of a question are accepted,
without the comment, and the next policy is fitted to the seed demonstrations and the episodes of this round alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...envs.world.config import WorldConfig
from .retries import Actor, Attempts, Misreading, attempt, choice_counts, fit_actor, fit_aversion

__all__ = ["CRITIQUE", "Comment", "Loop", "Round", "Seeds", "play_round", "seed_demonstrations"]

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Kept = list[tuple[Attempts, Flags]]

Comment = Literal["", "generic", "void", "believed", "shuffled"]
"""What a retry is told: nothing; nothing but to look again; which kinds are void at which hop, as the passages of the
attempt say or as the actor believed; the same of another question's attempt."""

OBEYS = 0.9
"""Share of the demonstrated retries that avoid the kinds which the comment names."""

SEED_SHARE = 4
"""One training question in so many has a demonstration."""

_AVOIDS = 50.0
_FIRST, _RETRY, _SHUFFLE, _SEED, _SEED_RETRY, _OBEY = range(41, 47)


@dataclass(frozen=True, slots=True)
class Loop:
    """An arm of the loop.

    Attributes:
        comment: what a retry is told.
        retries: whether there are any.
        equal_cost: retries without a comment go on, past one for each attempt, until they have made as many searches as
            the loop with comments on void kinds does in this round, comments counted as one search each.
        keeps_comments: accepted retries are also imitated as answers to their comments.
    """

    comment: Comment = ""
    retries: bool = True
    equal_cost: bool = False
    keeps_comments: bool = False


CRITIQUE = Loop("void")
"""The paper's."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """What every round is trained on beside its own episodes: demonstrations and demonstrated retries, all whole."""

    counts: NDArray[np.float64]
    retries: Kept

    def fit(self, accepted: Kept, *, keeps_comments: bool = False) -> Actor:
        """The next policy, from the base."""
        counts = self.counts + sum(choice_counts(self.counts.shape, one, which) for one, which in accepted)
        actor = fit_actor(counts)
        answers = [(one, which) for one, which in accepted if one.named.any()] if keeps_comments else []
        return replace(actor, aversion=fit_aversion(actor, [*self.retries, *answers]))


@dataclass(frozen=True, slots=True)
class Round:
    """What a round played and accepted.

    Attributes:
        accepted: episodes, and which of them.
        questions: for each part of `accepted`, the question of each episode, int64 [episodes].
        generations: episodes played.
        cost: searches, and comments.
        retry_cost: the part of it that retries made.
        retried: number of retries.
        repaired: number of them that were right.
    """

    accepted: Kept
    questions: list[Ints]
    generations: int
    cost: int
    retry_cost: int
    retried: int
    repaired: int


def seed_demonstrations(present: Flags, config: WorldConfig, shares: Sequence[float], seed: int) -> Seeds:
    """A demonstrator who draws untried kinds in some shares and reads perfectly, on the first questions.

    Failed demonstrations get a comment on void kinds and a demonstrated retry, which avoids them in most cases.
    """
    shown = present[: max(1, len(present) // SEED_SHARE)]
    size, num_hops, num_kinds = shown.shape
    shape = (num_hops, 2**num_kinds, config.budget + 1, num_kinds)
    demonstrator = Actor(np.broadcast_to(np.log(shares), shape))
    reader = Misreading(0.0, config.availability)
    first = attempt(
        shown, reader, demonstrator, np.zeros((size, num_hops), np.int64), _draws(seed, _SEED, 0, size, config)
    )
    wrong = np.nonzero(~first.success)[0]
    obeys = np.random.default_rng((seed, _OBEY)).random(len(wrong)) < OBEYS
    heeded = np.where(obeys[:, None], first.void[wrong], 0)
    avoiding = replace(demonstrator, aversion=_AVOIDS)
    again = attempt(shown[wrong], reader, avoiding, heeded, _draws(seed, _SEED_RETRY, 0, len(wrong), config))
    retries = replace(again, named=first.void[wrong])
    everything = choice_counts(shape, first, np.ones(size, np.bool_))
    return Seeds(everything, [(retries, np.ones(len(wrong), np.bool_))])


def play_round(
    present: Flags,
    config: WorldConfig,
    actor: Actor,
    loop: Loop,
    samples: int,
    *,
    seed: int,
    number: int,
    most: int = 0,
) -> Round:
    """Plays and accepts.

    Args:
        present: bool [questions, hops, kinds], of the training questions.
        config: of the World.
        actor: the policy.
        loop: the arm.
        samples: first attempts at each question.
        seed: of the draws, which all arms share.
        number: of the round, from 0.
        most: cost that retries may have, for arms of equal cost.
    """
    size, num_hops, _ = present.shape
    reader = Misreading.of(config)
    asked = np.repeat(np.arange(size), samples)
    silent = np.zeros((len(asked), num_hops), np.int64)
    first = attempt(present[asked], reader, actor, silent, _draws(seed, _FIRST, number, len(asked), config))
    solved = np.zeros(size, np.bool_)
    solved[asked[first.success]] = True
    accepted: Kept = [(first, first.success)]
    questions, spent, retried, repaired, turn = [asked], 0, 0, 0, 0
    waiting = np.nonzero(~first.success & ~solved[asked])[0]
    while loop.retries and len(waiting) and (not turn or (loop.equal_cost and spent < most)):
        whose = asked[waiting]
        named = _comments(first, waiting, loop.comment, seed, number)
        draws = _draws(seed, _RETRY + 100 * turn, number, len(waiting), config)
        again = attempt(present[whose], reader.careful() if loop.comment else reader, actor, named, draws)
        price = again.searches + bool(loop.comment)
        played = np.ones(len(waiting), np.bool_)
        if loop.equal_cost:  # in an order that does not depend on the question, as far as the searches last
            order = np.random.default_rng((seed, _SHUFFLE, number, turn)).permutation(len(waiting))
            played[order] = spent + price[order].cumsum() <= most
        right = np.nonzero(again.success & played)[0]
        _, earliest = np.unique(whose[right], return_index=True)
        chosen = np.zeros(len(waiting), np.bool_)
        chosen[right[earliest]] = True
        accepted.append((again, chosen))
        questions.append(whose)
        solved[whose[chosen]] = True
        spent, retried, repaired = spent + int(price[played].sum()), retried + int(played.sum()), repaired + len(right)
        if not played.all():
            break
        waiting, turn = waiting[~solved[whose]], turn + 1
    cost = int(first.searches.sum()) + spent
    return Round(accepted, questions, len(asked) + retried, cost, spent, retried, repaired)


def _comments(first: Attempts, waiting: Ints, comment: Comment, seed: int, number: int) -> Ints:
    """Kinds named at each hop, int64 [retries, hops]."""
    if comment in ("void", "shuffled"):
        named = first.void[waiting]
        if comment == "shuffled":
            named = named[np.random.default_rng((seed, _SHUFFLE, number)).permutation(len(waiting))]
        return named
    return first.believed[waiting] if comment == "believed" else np.zeros_like(first.void[waiting])


def _draws(seed: int, what: int, number: int, size: int, config: WorldConfig) -> NDArray[np.float64]:
    return np.random.default_rng((seed, what, number)).random((size, config.budget, 2))
