"""Rounds of multiagent fine-tuning (arXiv 2501.05707) of tabular agents: debate, labels, data, and a fit to the data.

In a round all agents answer fresh questions and debate. The label of a question is the majority of the last answers.
A generator learns its own first episode where that agrees with the label; a critic learns what it did where its last
answer agrees: all that it repaired, and for each of these with probability 1/2 one that it kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .choices import count_choices
from .debate import LOOK, Critic, Debate, debate, draw_votes
from .fitting import choice_counts, fit_choices, search_choices
from .kinds import KindWorld
from .readers import NONE, RIGHT, Answers, Reader, play_answers
from .team_values import Team

__all__ = ["Fit", "Label", "Round", "Rule", "Split", "share_out", "train_round"]

Array = NDArray[np.float64]
Label = Literal["debate", "first", "own", "truth", "agreed"]
Split = Literal["own", "union", "matched", "random"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a team trains itself.

    Attributes:
        label: "debate" is the majority of the last answers; "agreed" the same where two agents or more gave it;
            "first" that of the first answers, without critics; "own" that of three episodes of the agent itself;
            "truth" the right answer.
        split: who learns what: "own" data, the "union" of all, the same random share of the union for everybody
            ("matched"), or the union dealt out at "random".
        copies: whether critics can copy.
        looks: whether they can look again.
        single: all agents are one: it answers several times, and learns from all that agree with its votes.
        from_start: each fit begins at the start, not at the last round's policies.
    """

    label: Label = "debate"
    split: Split = "own"
    copies: bool = True
    looks: bool = True
    single: bool = False
    from_start: bool = False

    @property
    def has_critics(self) -> bool:
        """Whether critics are trained."""
        return self.label in ("debate", "agreed", "truth") and not self.single


@dataclass(frozen=True, slots=True)
class Fit:
    """Gradient ascent on the mean log-likelihood of the data, see `fit_choices`."""

    rate: float
    steps: int


@dataclass(frozen=True, slots=True)
class Round:
    """A round.

    Attributes:
        team: after it.
        labelled: share of questions with a label.
        label_accuracy: of these, the share whose label is right; NaN without any.
        sizes: int64 [agents], episodes that each generator learnt from.
    """

    team: Team
    labelled: float
    label_accuracy: float
    sizes: NDArray[np.int64]


def train_round(
    world: KindWorld,
    team: Team,
    start: Team,
    questions: NDArray[np.int64],
    rule: Rule,
    allowed: NDArray[np.bool_],
    fit: Fit,
    seed: tuple[int, ...],
) -> Round:
    """Plays a round on the questions and trains the team on it.

    Args:
        world: the training questions.
        team: as it is.
        start: as it was before the first round.
        questions: int64, indices; each is played once by every agent.
        rule: what is learnt.
        allowed: what critics can do, see `allowed_actions`.
        fit: how.
        seed: of everything that is drawn; rules with equal seeds draw the same numbers while they do the same.
    """
    played = debate(world, team.generators, team.critics, questions, allowed, (*seed, 0))
    labels = _labels(world, team, questions, played, rule, seed)
    known = labels != NONE
    first, last = played.first_answers, played.last
    agrees, agrees_last = known & (first == labels), known & (last == labels)
    critic_items = _critic_items(agrees, agrees_last, np.random.default_rng((*seed, 2)))
    kept = share_out(agrees, rule.split, np.random.default_rng((*seed, 3)))
    begin, critics = start if rule.from_start else team, team.critics
    if rule.has_critics:
        dealt = share_out(critic_items, rule.split, np.random.default_rng((*seed, 4)))
        critics = tuple(_fit_critic(one, played, mine, allowed, fit) for one, mine in zip(begin.critics, dealt))
    generators = tuple(_fit_reader(one, played.first, mine, fit) for one, mine in zip(begin.generators, kept))
    right = (labels == RIGHT)[known]
    accuracy = float(right.mean()) if right.size else float("nan")
    return Round(Team(generators, critics), float(known.mean()), accuracy, kept.sum((1, 2)).astype(np.int64))


def share_out(items: NDArray[np.bool_], split: Split, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Who learns which items.

    Args:
        items: bool [agents, questions], episodes that can be learnt.
        split: see `Rule`.
        generator: of random shares.

    Returns:
        bool [learners, agents, questions].
    """
    agents = len(items)
    out = np.zeros((agents, *items.shape), np.bool_)
    if split == "own":
        out[np.arange(agents), np.arange(agents)] = items
        return out
    if split == "union":
        out[:] = items
        return out
    places = generator.permutation(np.flatnonzero(items))
    parts = np.array_split(places, agents)
    for learner in range(agents):
        out[learner].reshape(-1)[parts[0 if split == "matched" else learner]] = True
    return out


def _labels(
    world: KindWorld,
    team: Team,
    questions: NDArray[np.int64],
    played: Debate,
    rule: Rule,
    seed: tuple[int, ...],
) -> NDArray[np.int64]:
    """Of each agent and question, int64 [agents, questions]; 0 where there is no label."""
    shape, num_answers = played.last.shape, 1 + team.generators[0].reading.shape[1]
    random = np.random.default_rng((*seed, 1))
    if rule.label == "truth":
        return np.full(shape, RIGHT)
    if rule.label == "own":
        rows = []
        for agent, reader in enumerate(team.generators):
            more = [
                play_answers(world, reader, questions, np.random.default_rng((*seed, 5, agent, one))).answers
                for one in range(len(team.generators) - 1)
            ]
            rows.append(draw_votes(np.stack([played.first[agent].answers, *more]), num_answers, random))
        return np.stack(rows)
    voters = played.first_answers if rule.label == "first" or rule.single else played.last
    votes = draw_votes(voters, num_answers, random)
    if rule.label == "agreed":
        votes = np.where((voters == votes).sum(0) >= 2, votes, NONE)
    return np.broadcast_to(votes, shape)


def _critic_items(
    agrees: NDArray[np.bool_], agrees_last: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """All repaired items and about half as many kept ones, bool [agents, questions]."""
    out = agrees_last & ~agrees
    for row, kept in zip(out, agrees_last & agrees):
        wanted = int(generator.binomial(int(row.sum()), 0.5))
        places = generator.permutation(np.flatnonzero(kept))[:wanted]
        row[places] = True
    return out


def _fit_reader(reader: Reader, played: Sequence[Answers], kept: NDArray[np.bool_], fit: Fit) -> Reader:
    """A reader after the kept episodes, bool [agents, questions], of all agents' play."""
    shape, size = reader.search.shape, float(kept.sum())
    search = sum((choice_counts(one.played, mine, shape) for one, mine in zip(played, kept)), np.zeros(shape))
    reading = sum(
        (one.reading_counts(mine, reader.reading.shape) for one, mine in zip(played, kept)),
        np.zeros(reader.reading.shape),
    )
    return Reader(
        fit_choices(reader.search, search, size, rate=fit.rate, steps=fit.steps, allowed=search_choices(shape)),
        fit_choices(reader.reading, reading, size, rate=fit.rate, steps=fit.steps),
    )


def _fit_critic(
    critic: Critic, played: Debate, kept: NDArray[np.bool_], allowed: NDArray[np.bool_], fit: Fit
) -> Critic:
    """A critic after the kept items: its decisions, and the episodes of those that looked again."""
    counts = count_choices(critic.decide.shape, (played.situations[kept], played.actions[kept]))
    looked = kept & (played.actions == LOOK)
    return Critic(
        _fit_reader(critic.reader, played.looked, looked, fit),
        fit_choices(critic.decide, counts, float(kept.sum()), rate=fit.rate, steps=fit.steps, allowed=allowed),
    )
