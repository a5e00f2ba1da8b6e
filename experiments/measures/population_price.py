"""What policies on the World are worth over all its questions, and what the exact frontier asks for their difference.

The questions of an evaluation are a draw from all questions that a World can generate, and a frontier of those alone
would know them. So the choices of kind are counted instead, at every state of an episode and over all questions, and
the table of these shares is followed through all questions exactly, as `tabular/histories.py` does. The values are
planned ones: giving up and misreading are not in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.statistics import bootstrap_indices
from ...envs.world.config import PRESETS, WorldConfig
from ...envs.world.facts import WorldFacts
from ...envs.world.population import PopulationFrontier, population_frontier
from ...policies.tabular.histories import State, StateTable, history_values, next_state
from ...retrieval_index.errors import BerrypickError
from .rollout import Rollout
from .rows import EstimateRow, PopulationRow

__all__ = ["population_row"]

Array = NDArray[np.float64]

NUM_RESAMPLES = 200
MOST_STATES = 400
"""A table of more states, as in Worlds of many kinds and hops, would take minutes to resample."""
_DIGITS = 12
"""Decimals of settings that are computed from those of questions; the last bits are those of the arithmetic."""
_SHAPES = "no values over all questions: these come from Worlds of different shape"


def population_row(arms: Mapping[str, Sequence[Rollout]], k: int) -> PopulationRow | str:
    """The exact values in the population of what the arms chose, or why there are none.

    Args:
        arms: rollouts by arm, all of one World and played by its rules, see `exact_rows`. The first arm is the one
            that others are compared with.
        k: of pass@k.

    Returns:
        pass@1, pass@k and waste of each arm; of each arm minus the first the change of pass@1 and its two parts: the
        price, F(pass@k of the arm) - F(pass@k of the first), and the change by waste, where F(y) is the most pass@1
        that any policy with pass@k of at least y can have. Intervals are those of resampled questions (percentiles of
        200), with the same questions drawn for all arms.
    """
    asked = {id(one.question): one.question for rollouts in arms.values() for one in rollouts}  # rollouts share them
    parsed = [(question.id, WorldFacts.required(question, "prices")) for question in asked.values()]
    config = _config([one for _, one in parsed])
    if isinstance(config, str):
        return config
    try:
        frontier = population_frontier(config, k)
    except BerrypickError as error:
        return str(error)
    facts = dict(sorted(parsed, key=lambda pair: pair[0]))
    counted = {name: _Choices.of(rollouts, facts, len(config.kinds)) for name, rollouts in arms.items()}
    if any(len(choices.states) == 0 for choices in counted.values()):
        return "no values over all questions: a policy never searches"
    if any(len(choices.states) > MOST_STATES for choices in counted.values()):
        return f"no values over all questions: the episodes take more than {MOST_STATES} different courses"
    draws = [np.ones(len(facts)), *map(_times, bootstrap_indices(len(facts), num_resamples=NUM_RESAMPLES))]
    found = {
        name: np.array([_values(choices, times, config, frontier) for times in draws])
        for name, choices in counted.items()
    }
    return _row(found, k, len(facts))


def _config(facts: Sequence[WorldFacts]) -> WorldConfig | str:
    """The World of these questions; its seed and its numbers of questions do not matter."""
    shapes = {(one.preset, one.availability if one.cue is None else None, one.budget, one.hops) for one in facts}
    if len(shapes) != 1:
        return _SHAPES
    one = facts[0]
    if not all(one.availability for one in facts):
        return "no values over all questions: these do not say how often a kind of record states a fact"
    known = PRESETS.get(one.preset, {}) | {"budget": one.budget, "hops": one.hops}
    if one.cue is None:
        return WorldConfig(**{**known, "availability": one.availability})
    return _with_cue(facts, known)


def _with_cue(facts: Sequence[WorldFacts], known: Mapping[str, Any]) -> WorldConfig | str:
    """The World whose questions hint at kinds: its cue is what a hint adds to the availability of its kind.

    With availability a, cue r and a hint at kind c, a question records a_c + r (1 - a_c) for c and (1 - r) a_k for
    every other kind k. So kind c has r more where it is hinted at than where another kind is.
    """
    met = {one.cue: np.array(one.availability) for one in facts if one.cue is not None}
    if len(met) < 2:
        return "no values over all questions: these hint at one kind only, and do not say how strongly"
    first, (hinted, plain) = next(iter(met)), list(met.values())[:2]
    strength = round(float(hinted[first] - plain[first]), _DIGITS)
    base = np.where(np.arange(len(hinted)) == first, plain, hinted) / (1 - strength) if strength < 1 else plain
    config = WorldConfig(
        **{**known, "availability": tuple(round(float(value), _DIGITS) for value in base), "cue": strength}
    )
    same = all(np.allclose(one.availability, config.question_availability(one.cue), atol=1e-9) for one in facts)
    return config if same else _SHAPES


@dataclass(frozen=True, slots=True)
class _Choices:
    """How often each kind was chosen at each state on each question.

    Attributes:
        states: S states that were met.
        counts: float64 [questions, S, kinds].
    """

    states: tuple[State, ...]
    counts: Array

    @classmethod
    def of(cls, rollouts: Sequence[Rollout], facts: Mapping[str, WorldFacts], num_kinds: int) -> _Choices:
        place = {question: at for at, question in enumerate(facts)}
        seen: dict[State, int] = {}
        met = [
            (place[one.question.id], seen.setdefault(state, len(seen)), kind)
            for one in rollouts
            for state, kind in _course(one, facts[one.question.id])
        ]
        counts = np.zeros((len(facts), len(seen), num_kinds))
        np.add.at(counts, tuple(np.array(met, np.int64).reshape(-1, 3).T), 1)
        return cls(tuple(seen), counts)

    def table(self, times: Array) -> StateTable:
        """The policy that makes these choices in these shares, each question counted so many times: float64 [Q]."""
        sums = np.tensordot(times, self.counts, 1)  # [S, kinds]
        visits = sums.sum(-1)
        met = np.flatnonzero(visits)
        return StateTable(
            self.counts.shape[-1],
            {self.states[at]: sums[at] / visits[at] for at in met},
            {self.states[at]: float(visits[at]) for at in met},
        )


def _course(rollout: Rollout, facts: WorldFacts) -> Iterator[tuple[State, int]]:
    """The states of an episode and the kinds chosen there, up to the first query that leaves the tree of histories."""
    state = State(facts.cue)
    for ranking in rollout.rankings:
        step = next_state(state, facts, ranking[0] if ranking else None)
        if step is None:
            return
        kind, after = step
        yield state, kind
        state = after


def _times(drawn: NDArray[np.int64]) -> Array:
    """How often each question was drawn, float64 [questions]."""
    return np.bincount(drawn, minlength=len(drawn)).astype(np.float64)


def _values(choices: _Choices, times: Array, config: WorldConfig, frontier: PopulationFrontier) -> Array:
    """pass@1, pass@k and F(pass@k), float64 [3]."""
    found = history_values(choices.table(times), config, ks=(1, frontier.k))
    one, many = found["pass@1"], found[f"pass@{frontier.k}"]
    return np.array([one, many, frontier.best_pass_at_1(min(many, frontier.widest.pass_at_k))])


def _row(found: Mapping[str, Array], k: int, num_questions: int) -> PopulationRow:
    """The row from values of the whole sample and of its resamples, float64 [1 + resamples, 3] of each arm."""

    def estimate(values: Array) -> EstimateRow:
        low, high = np.quantile(values[1:], [0.025, 0.975])
        return {"value": float(values[0]), "low": float(low), "high": float(high), "n": num_questions}

    base = next(iter(found))
    return {
        "k": k,
        "arms": {
            name: {
                "pass@1": estimate(values[:, 0]),
                f"pass@{k}": estimate(values[:, 1]),
                "waste": estimate(values[:, 2] - values[:, 0]),
            }
            for name, values in found.items()
        },
        "differences": {
            f"{name} - {base}": {
                "pass@1": estimate(values[:, 0] - found[base][:, 0]),
                f"pass@{k}": estimate(values[:, 1] - found[base][:, 1]),
                "price": estimate(values[:, 2] - found[base][:, 2]),
                "by_waste": estimate((values[:, 0] - values[:, 2]) - (found[base][:, 0] - found[base][:, 2])),
            }
            for name, values in found.items()
            if name != base
        },
    }
