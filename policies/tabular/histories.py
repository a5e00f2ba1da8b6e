"""Exact values in the population of a policy over record kinds that remembers the whole episode.

The tables of `kinds.py` know the hop, the kinds tried at it and the queries left. A language model also reads its
earlier hops: one that asks again for the kind that has just hit has correlated hops, and a table that forgets them
would overstate its pass@k. Here a state is everything that the policy has seen: the cue and all queries with hit or
miss. Values are sums over all availability patterns of the generator; nothing is sampled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...envs.world.config import WorldConfig
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import BerrypickError
from .values import GROUP_SIZE, Flow, RowTable, flow_values

__all__ = ["State", "StateTable", "history_sequences", "history_values", "next_state"]

Array = NDArray[np.float64]

_NAME = re.compile(r"(\d*):((?:\d[+-])*)")


class State(NamedTuple):
    """What a policy over kinds has seen when it chooses the next kind.

    Attributes:
        cue: the kind that the question hints at; None in a world without cues.
        history: (kind, whether it hit) of every query so far, over all hops. A hit ends a hop.
    """

    cue: int | None = None
    history: tuple[tuple[int, bool], ...] = ()

    @property
    def hop(self) -> int:
        """Number of hits so far."""
        return sum(hit for _, hit in self.history)

    @property
    def tried(self) -> tuple[int, ...]:
        """Kinds queried at the current hop, in order; all of them missed."""
        kinds: list[int] = []
        for kind, hit in self.history:
            kinds = [] if hit else [*kinds, kind]
        return tuple(kinds)

    def after(self, kind: int, *, hit: bool) -> State:
        """The state after one more query."""
        return State(self.cue, (*self.history, (kind, hit)))

    @property
    def name(self) -> str:
        """Short text: the cue, a colon, and each query as its kind with + (hit) or - (miss), such as ":0-2+1-"."""
        cue = "" if self.cue is None else str(self.cue)
        return f"{cue}:" + "".join(f"{kind}{'+' if hit else '-'}" for kind, hit in self.history)

    @classmethod
    def of(cls, name: str) -> State:
        """Reads a `name`.

        Raises:
            BerrypickError: the text is no name of a state.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise BerrypickError(f'{name!r} names no state; write the cue, a colon and queries, such as ":0-2+"')
        cue, said = match.groups()
        history = tuple((int(said[at]), said[at + 1] == "+") for at in range(0, len(said), 2))
        return cls(int(cue) if cue else None, history)


def next_state(state: State, facts: WorldFacts, top: str | None) -> tuple[int, State] | None:
    """The kind that a played query asked for, and the state after it; None if the query leaves the tree of histories.

    It stays in the tree if the episode can go on and its first passage is an untried kind's record of the wanted fact.

    Args:
        state: before the query.
        facts: of the question.
        top: id of the first passage that the query was shown.
    """
    if state.hop == facts.hops or len(state.tried) == len(facts.kinds):
        return None
    passages = facts.passages[state.hop]
    kind = passages.index(top) if top in passages else None
    if kind is None or kind in state.tried:
        return None
    return kind, state.after(kind, hit=kind in facts.present[state.hop])


READ, FORGOTTEN, UNIFORM = range(3)
"""Where the probabilities of a state come from; see `StateTable.chances`."""


@dataclass(frozen=True)
class StateTable:
    """A policy over kinds, known at the states where it was seen.

    Attributes:
        num_kinds: K.
        probabilities: state -> float64 [K], which sums to 1 and is 0 on kinds tried at the state's hop.
        visits: state -> how often it was seen; weights of the average used for unseen states.
    """

    num_kinds: int
    probabilities: Mapping[State, Array]
    visits: Mapping[State, float]

    def chances(self, state: State) -> tuple[Array, int]:
        """The kind probabilities at a state, float64 [K], and where they come from.

        READ: the state was seen. FORGOTTEN: it was not, but states were that differ only in their earlier hops and the
        order of the kinds tried (equal cue, hop, number of queries, and set of tried kinds); their average, weighted by
        visits. UNIFORM: none of these was seen, so all untried kinds are equally likely.
        """
        known = self.probabilities.get(state)
        if known is not None:
            return known, READ
        found = self._forgotten.get(_without_earlier_hops(state))
        if found is not None:
            return found, FORGOTTEN
        untried = np.ones(self.num_kinds)
        untried[list(state.tried)] = 0
        return untried / untried.sum(), UNIFORM

    @cached_property
    def _forgotten(self) -> dict[_Key, Array]:
        sums: dict[_Key, Array] = {}
        for state, chances in self.probabilities.items():
            key = _without_earlier_hops(state)
            sums[key] = sums.get(key, np.zeros(self.num_kinds)) + self.visits[state] * chances
        return {key: total / total.sum() for key, total in sums.items() if total.sum() > 0}


_Key = tuple[int | None, int, int, frozenset[int]]


def _without_earlier_hops(state: State) -> _Key:
    return state.cue, state.hop, len(state.history), frozenset(state.tried)


def history_values(
    table: StateTable, config: WorldConfig, *, ks: Sequence[int] = (1, 2, 4, 8, 16), group_size: int = GROUP_SIZE
) -> dict[str, float]:
    """Exact values in the population: pass@k = sum of P(S) (1 - (1 - p(S))^k) over all availability patterns S.

    p(S), the success probability of one episode, is found by walking all histories. The reader is perfect and never
    gives up, so these are planned values.

    Args:
        table: the policy.
        config: of the World; the numbers of questions and the seed do not matter.
        ks: values of k for pass@k.
        group_size: rollouts of a group in the measure of breadth.

    Returns:
        pass@k, breadth, kind_entropy, kind_information and searches, as `exact_values` defines them. kind_information
        is what a hop's first kind reveals of the question through earlier hits and misses, or its cue. Further
        forgotten and uniform, the shares of queries made at states that were not seen, see `StateTable.chances`.

    Raises:
        BerrypickError: table and World differ in the number of kinds.
    """
    if len(config.kinds) != table.num_kinds:
        raise BerrypickError(f"the table has {table.num_kinds} kinds, the population has not; use the table's World")
    rows = RowTable.population(config)
    flow, sources = _walk(table, rows, config)
    values = flow_values(rows, flow, ks, group_size)
    return {**values, "forgotten": sources[FORGOTTEN] / sum(sources), "uniform": sources[UNIFORM] / sum(sources)}


def history_sequences(table: StateTable, config: WorldConfig, size: int) -> dict[str, float]:
    """Expected distinct query sequences of a group of episodes of one question, exact in the population.

    A sequence is the kinds queried by an episode, in order; on a question it ends right or wrong.

    Args:
        table: the policy.
        config: of the World; the numbers of questions and the seed do not matter.
        size: episodes of the group.

    Returns:
        {"queries@SIZE": all, "right@SIZE": those that end right, "wrong@SIZE": the others}.
    """
    rows = RowTable.population(config)
    counts = {True: 0.0, False: 0.0}
    open_states = [(State(cue), (rows.table == at).astype(np.float64)) for at, cue in enumerate(config.cues)]
    while open_states:
        state, mass = open_states.pop()
        done = state.hop == config.hops
        if done or len(state.history) == config.budget or len(state.tried) == table.num_kinds:
            counts[done] += float(rows.weights @ (1 - (1 - np.clip(mass, 0.0, 1.0)) ** size))
            continue
        chances, _ = table.chances(state)
        for kind in np.flatnonzero(chances):
            hits = mass * chances[kind] * rows.present[:, state.hop, kind]
            for hit, part in ((True, hits), (False, mass * chances[kind] - hits)):
                if part.any():
                    open_states.append((state.after(int(kind), hit=hit), part))
    right, wrong = counts[True], counts[False]
    return {f"queries@{size}": right + wrong, f"right@{size}": right, f"wrong@{size}": wrong}


def _walk(table: StateTable, rows: RowTable, config: WorldConfig) -> tuple[Flow, list[float]]:
    """Follows every history, with the probability [rows] that an episode of each row takes it.

    Returns:
        The probabilities of one episode, and the expected number of queries by the source of their probabilities.
    """
    num_rows, hops, num_kinds = rows.present.shape
    success, searches = np.zeros(num_rows), np.zeros(num_rows)
    found, first = np.zeros((num_rows, hops, num_kinds)), np.zeros((num_rows, hops, num_kinds))
    sources = [0.0, 0.0, 0.0]
    open_states = [(State(cue), (rows.table == at).astype(np.float64)) for at, cue in enumerate(config.cues)]
    while open_states:
        state, mass = open_states.pop()
        hop, tried = state.hop, state.tried
        if hop == hops:
            success += mass
        if hop == hops or len(state.history) == config.budget or len(tried) == num_kinds:
            continue
        searches += mass
        chances, source = table.chances(state)
        sources[source] += float(rows.weights @ mass)
        for kind in np.flatnonzero(chances):
            flow = mass * chances[kind]
            hits = flow * rows.present[:, hop, kind]
            if not tried:
                first[:, hop, kind] += flow
            found[:, hop, kind] += hits
            for hit, part in ((True, hits), (False, flow - hits)):
                if part.any():
                    open_states.append((state.after(int(kind), hit=hit), part))
    answers = np.zeros((num_rows, 2**num_kinds))  # the set-valued measures are not defined here
    return Flow(success, found, first, answers, searches), sources
