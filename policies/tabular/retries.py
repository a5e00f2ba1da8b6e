"""Attempts and retries of a tabular policy that can misread, and can be told what its failed attempt has shown.

A passage of several clauses is misread with some chance: another clause than the one asked for is taken. If that clause
names an entity, the attempt goes on from a wrong name and cannot succeed; if it is void, a record that is there is
believed void. A comment on a failed attempt names kinds of record at each hop. The policy of a retry is that of an
attempt with one more weight, which is taken from the logits of the kinds named: how far a comment is obeyed is learnt
from data like everything else, and a comment never decides a choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...envs.world.config import WorldConfig
from .choices import choice_probabilities, count_choices, draw_choices
from .kinds import kind_bits

__all__ = ["Actor", "Attempts", "Misreading", "attempt", "choice_counts", "fit_actor", "fit_aversion"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

GUESS = 0.2
"""Chance that a clause of a passage is taken at random."""

CAREFUL = 0.5
"""What a comment, whatever it says, multiplies the chance of misreading with."""

MOST_AVERSION = 20.0
"""Data in which no named kind is ever chosen have no finite weight."""


@dataclass(frozen=True, slots=True)
class Misreading:
    """How passages are misread.

    Attributes:
        slip: chance that another clause than the one asked for is taken.
        named: [kind] -> chance that such a clause names an entity, the availability of the kind.
    """

    slip: float
    named: tuple[float, ...]

    @classmethod
    def of(cls, config: WorldConfig) -> Misreading:
        """Of a World's passages: with C clauses, a clause taken at random is a wrong one with chance 1 - 1/C."""
        return cls(GUESS * (1 - 1 / config.clauses), config.availability)

    def careful(self) -> Misreading:
        """After a comment."""
        return Misreading(CAREFUL * self.slip, self.named)


@dataclass(frozen=True, slots=True)
class Actor:
    """A policy of attempts and retries.

    Attributes:
        logits: float64 [hops, sets of tried kinds, queries left, kinds].
        aversion: what is taken from the logits of kinds that a comment names; 0 ignores comments.
    """

    logits: Array
    aversion: float = 0.0

    @property
    def num_kinds(self) -> int:
        """Number of kinds."""
        return int(self.logits.shape[-1])

    def chances(self, hops: Ints, tried: Ints, left: Ints | int, named: Ints) -> Array:
        """Of each kind, float64 [states, kinds]; 0 for tried kinds. `named` are bit sets of kinds."""
        bits = kind_bits(self.num_kinds)
        return choice_probabilities(self.logits[hops, tried, left] - self.aversion * bits[named], ~bits[tried])


@dataclass(frozen=True, slots=True)
class Attempts:
    """Episodes; the second axis of choices is the turn.

    Attributes:
        live: bool [episodes, budget], whether the policy chose a kind.
        hops, tried, left, kinds: int64 [episodes, budget], the state and the choice.
        named: int64 [episodes, hops], bit sets of kinds that the comment had named.
        void: int64 [episodes, hops], kinds that were searched and are void, as the passages say.
        believed: int64 [episodes, hops], kinds that were searched and believed void, as they were read.
        found: int64 [episodes, hops], kind of the record in which the hop's fact was found; -1 for none.
        success: bool [episodes].
        searches: int64 [episodes], those made from a wrong name included.
    """

    live: Flags
    hops: Ints
    tried: Ints
    left: Ints
    kinds: Ints
    named: Ints
    void: Ints
    believed: Ints
    found: Ints
    success: Flags
    searches: Ints

    def choices(self, episodes: Flags) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """(hops, tried, left, kinds, named there) of the choices of some episodes, one row each."""
        made = self.live & episodes[:, None]
        at = np.nonzero(made)[0]
        hops = self.hops[made]
        return hops, self.tried[made], self.left[made], self.kinds[made], self.named[at, hops]

    def signatures(self, num_kinds: int) -> Ints:
        """A number for the kinds in which the facts were found, int64 [episodes]; only of successful ones."""
        return np.asarray(self.found @ num_kinds ** np.arange(self.found.shape[1]), np.int64)


def attempt(present: Flags, reader: Misreading, actor: Actor, named: Ints, draws: Array) -> Attempts:
    """Plays one episode of each row.

    Args:
        present: bool [episodes, hops, kinds], which records state the fact.
        reader: how passages are misread.
        actor: the policy.
        named: int64 [episodes, hops], what a comment names; zeros without one.
        draws: float64 [episodes, budget, 2], in [0, 1): of the kind, and of the reading.
    """
    size, num_hops, num_kinds = present.shape
    budget, rows = draws.shape[1], np.arange(size)
    hop, tried, searches = (np.zeros(size, np.int64) for _ in range(3))
    lost_way, done = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    void, believed = np.zeros((size, num_hops), np.int64), np.zeros((size, num_hops), np.int64)
    found = np.full((size, num_hops), -1)
    kept: list[tuple[Flags, Ints, Ints, Ints, Ints]] = []
    for turn in range(budget):
        at = np.minimum(hop, num_hops - 1)
        live = ~lost_way & ~done & (tried < 2**num_kinds - 1)
        state = np.where(live, tried, 0)
        left = np.full(size, budget - turn)
        kind = draw_choices(actor.chances(at, state, left, named[rows, at]).cumsum(-1), draws[:, turn, 0])
        there, reading = present[rows, at, kind], draws[:, turn, 1]
        astray = live & (reading < reader.slip * np.array(reader.named)[kind])
        missed = live & ~astray & ((reading < reader.slip) | ~there)
        hit = live & ~astray & ~missed
        searches += live | (lost_way & (hop < num_hops - 1))  # from a wrong name it searches on, in vain
        bit = 1 << kind
        void[rows, at] |= np.where(live & ~there, bit, 0)
        believed[rows, at] |= np.where(missed, bit, 0)
        found[rows, at] = np.where(hit, kind, found[rows, at])
        kept.append((live, at, state, left, kind))
        tried = np.where(hit, 0, np.where(missed, tried | bit, tried))
        hop, lost_way = hop + hit, lost_way | astray
        done = hop >= num_hops
    live, hops, states, left, kinds = (np.stack(column, 1) for column in zip(*kept))
    return Attempts(live, hops, states, left, kinds, named, void, believed, found, done, searches)


def choice_counts(shape: tuple[int, ...], attempts: Attempts, episodes: Flags) -> Array:
    """How often each kind was chosen in each state by some of the episodes, float64 of the shape of the logits."""
    hops, tried, left, kinds, _ = attempts.choices(episodes)
    return count_choices(shape, (hops, tried, left, kinds))


def fit_actor(counts: Array, aversion: float = 0.0) -> Actor:
    """The most likely policy of choices, from a base that has made each choice once: SFT of a table, in closed form."""
    return Actor(np.log(counts + 1.0), aversion)


def fit_aversion(actor: Actor, attempts: list[tuple[Attempts, Flags]]) -> float:
    """The most likely aversion of retries, given the logits, with the (episodes, which of them) that were kept.

    The likelihood is concave in it; a choice counts only where some open kinds are named and some are not.
    """
    parts = [one.choices(episodes) for one, episodes in attempts]
    hops, tried, left, kinds, named = (np.concatenate(column) for column in zip(*parts))
    bits = kind_bits(actor.num_kinds)
    chosen = bits[named, kinds].astype(np.float64)
    weight = 0.0
    for _ in range(100):
        chance = (Actor(actor.logits, weight).chances(hops, tried, left, named) * bits[named]).sum(1)
        slope, curve = float((chance - chosen).sum()), float((chance * (1 - chance)).sum())
        step = float(np.clip(slope / max(curve, 1e-12), -1.0, 1.0))
        weight = float(np.clip(weight + step, -MOST_AVERSION, MOST_AVERSION))
        if abs(step) < 1e-10:
            break
    return weight
