"""A cell of tabular agents that debate and train themselves in rounds; a checkpoint is a round."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ...policies.tabular.debate import Critic, allowed_actions, num_situations
from ...policies.tabular.readers import Reader
from ...policies.tabular.row_table import RowTable
from ...policies.tabular.team_training import Fit, Round, Rule, train_round
from ...policies.tabular.team_values import Team, TeamValues
from ...retrieval_index.errors import BerrypickError
from .experiment import CellResult
from .measuring import population_of
from .table_cells import MEASURED_DIGITS, TableCell
from .table_training import training_world

__all__ = ["AGENTS", "READINGS", "TEAM_MEASURES", "debate_procedure", "starting_team"]

Array = NDArray[np.float64]

AGENTS = 3
_ROUNDS = range(1, 6)
"""Rounds of which the measures of `_BY_ROUND` have names of their own, so that a claim can read them."""

READINGS: Mapping[str, tuple[tuple[float, ...], ...]] = MappingProxyType(
    {
        "agents": ((0.6, 0.2, 0.1, 0.1),) * 3,
        "even": ((0.6, 0.2, 0.1, 0.1),) * 3,
        "misled": ((0.3, 0.5, 0.1, 0.1), (0.6, 0.2, 0.1, 0.1), (0.6, 0.2, 0.1, 0.1)),
    }
)
"""Start -> chance that the base takes each clause of a record of each kind; the first is the one asked for. A "misled"
base mostly takes the same wrong clause of the first kind, so that agents agree on wrong answers; the critics of an
"even" one keep, copy and look alike."""

_BY_ROUND = ("pass@1", "system", "difference", "across", "within", "labels_accuracy")
_LATER = ("pass@1", "system")

_OF_ROUND = ("labels", "labels_accuracy", "data")

TEAM_MEASURES = (
    "pass@1", "pass@8", "team@8", "wrong", "self_vote", "vote_first", "vote_six", "vote_last", "last@1", "labelled",
    "label_accuracy", "difference", "across", "within", "excess", "reading_difference", "entropy", "copies",
    "blind_copies", "copied_share", "look", "repaired", "spoiled", "agree_first", "agree_last", "queries",
    "system", "debate_gain", "debate_over_six",
    *(f"{name}@round{number}" for name in _BY_ROUND for number in _ROUNDS), *(f"{name}_later" for name in _LATER),
    *_OF_ROUND,
)  # fmt: skip
"""Those of `TeamValues`, and:

* system: the vote as the rule has it, after the critics where these are trained;
* debate_gain, debate_over_six: the vote after critics minus that of first answers, and minus that of six answers;
* NAME@round3: after three rounds (likewise others), or at an earlier checkpoint itself; NAME_later: what was gained
  since round 1;
* labels, labels_accuracy, data: of the round's training questions (NaN at the start), the share with a label, of these
  the share whose label is right, and the mean number of episodes that a generator learnt.
"""


def starting_team(shape: tuple[int, ...], start: str, seed: int) -> Team:
    """Agents as fine-tunes of one base: its logits plus independent normal noise.

    The base draws kinds alike, reads as `READINGS` says, and criticises as `starting_decisions` says, or evenly.

    Args:
        shape: of the search logits.
        start: "agents-0.5" or "misled-0.5", the number being the noise's standard deviation; with 0 all are copies. A
            generator and its critic are one model, and read and search alike.
        seed: of the noise.

    Raises:
        BerrypickError: the start has another form.
    """
    name, _, number = start.partition("-")
    try:
        spread = float(number)
    except ValueError:
        spread = math.nan
    if name not in READINGS or not spread >= 0:
        raise BerrypickError(f"start {start!r}: give one of {', '.join(READINGS)} and a spread, such as agents-0.5")
    reading, decide = np.log(READINGS[name]), np.log(starting_decisions(AGENTS))
    base = (np.zeros(shape), reading, decide * (name != "even"))
    generators, critics = [], []
    for agent in range(AGENTS):
        noise = np.random.default_rng((seed, 41, agent))
        search, reads, decides = (part + spread * noise.standard_normal(part.shape) for part in base)
        generators.append(Reader(search, reads))
        critics.append(Critic(generators[-1], decides))
    return Team(tuple(generators), tuple(critics))


def starting_decisions(agents: int) -> Array:
    """How the base criticises: chances of keeping, copying and looking in each situation, float64 [situations, 3].

    It mostly keeps what more agents share than share the most frequent other answer, often copies that where the
    reverse holds, and looks again most where it has no answer and nobody else has.
    """
    has, rest = np.divmod(np.arange(num_situations(agents)), agents * agents)
    support, rival = np.divmod(rest, agents)
    ours = np.where(has == 1, 1 + support, 0)
    cases = (ours > rival) & (rival > 0), (ours == rival) & (rival > 0), ours < rival, has == 1
    chances = ((0.8, 0.1, 0.1), (0.5, 0.2, 0.3), (0.2, 0.5, 0.3), (0.8, 0.1, 0.1))
    return np.select([case[:, None] for case in cases], [np.array(row) for row in chances], np.array((0.1, 0.1, 0.8)))


def debate_procedure(rules: Mapping[str, Rule]) -> Callable[[TableCell], CellResult]:
    """The procedure of an experiment whose arms are rules.

    A cell's `steps` are rounds, `questions_per_step` the questions of a round, `sft_steps` the updates of a round and
    `learning_rate` their rate.
    """
    return partial(_run, rules)  # processes and Ray get a copy of it, which a function made here could not be


def _run(rules: Mapping[str, Rule], cell: TableCell) -> CellResult:
    rule = rules[cell.arm]
    config = cell.where.world_config(cell.world, cell.questions)
    world, rows = training_world(config), RowTable.population(config)
    start = starting_team(world.table_shape, cell.where.start, cell.seed)
    if rule.single:
        start = Team((start.generators[0],) * AGENTS, (start.critics[0],) * AGENTS)
    allowed = allowed_actions(AGENTS, copies=rule.copies, looks=rule.looks)
    exact = TeamValues(population_of(rows, world), rows.weights, allowed)
    fit, size = Fit(cell.table.learning_rate, cell.table.sft_steps), cell.table.questions_per_step
    if size * cell.table.steps > len(world.table):
        raise BerrypickError(f"{cell.table.steps} rounds of {size} questions need more than {len(world.table)}")
    order = np.random.default_rng((cell.seed, 43)).permutation(len(world.table))
    team, found = (
        start,
        [{**_values(exact, start, rule), "labels": math.nan, "labels_accuracy": math.nan, "data": math.nan}],
    )
    for number in range(cell.table.steps):
        asked = order[number * size : (number + 1) * size]
        done = train_round(world, team, start, asked, rule, allowed, fit, (cell.seed, 47, number))
        team = done.team
        found.append({**_values(exact, team, rule), **_of_round(done)})
    for at, values in enumerate(found):
        values |= {f"{name}@round{one}": found[min(at, one)][name] for name in _BY_ROUND for one in _ROUNDS}
        values |= {f"{name}_later": values[name] - found[min(at, 1)][name] for name in _LATER}
    return {
        "checkpoints": {
            str(step): {name: round(value, MEASURED_DIGITS) for name, value in found[step].items()}
            for step in cell.table.checkpoints
        },
        "bounds": {name: list(pair) for name, pair in _bounds(exact).items()},
    }


def _values(exact: TeamValues, team: Team, rule: Rule) -> dict[str, float]:
    found = exact.values(team)
    return {
        **found,
        "system": found["vote_last" if rule.has_critics else "vote_first"],
        "debate_gain": found["vote_last"] - found["vote_first"],
        "debate_over_six": found["vote_last"] - found["vote_six"],
    }


def _of_round(done: Round) -> dict[str, float]:
    return dict(zip(_OF_ROUND, (done.labelled, done.label_accuracy, float(done.sizes.mean()))))


def _bounds(exact: TeamValues) -> dict[str, tuple[float, float]]:
    """Nobody answers more questions than have records for all hops within the budget."""
    best = exact.answerable
    shares = (
        "wrong", "difference", "reading_difference", "copies", "blind_copies", "copied_share", "look", "repaired",
        "spoiled", "agree_first", "agree_last", "label_accuracy", "across", "within", "labels_accuracy",
        *(f"{name}@round{one}" for name in ("difference", "across", "within") for one in _ROUNDS),
    )  # fmt: skip
    solved = (
        "pass@1", "pass@8", "team@8", "self_vote", "vote_first", "vote_six", "vote_last", "last@1", "labelled",
        "system", *(f"{name}@round{one}" for name in ("system", "pass@1") for one in _ROUNDS),
    )  # fmt: skip
    return {
        **dict.fromkeys(shares, (0.0, 1.0)),
        **dict.fromkeys(solved, (0.0, best)),
        **dict.fromkeys((*(f"{name}_later" for name in _LATER), "debate_gain", "debate_over_six"), (-best, best)),
    }
