"""Exact values of a team of tabular agents in the population: how right, how alike, and what a debate does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .choices import choice_probabilities
from .debate import COPY, KEEP, LOOK, Critic, situations
from .kinds import KindWorld, kind_probabilities
from .outcomes import Episodes, Outcomes, list_episodes
from .readers import NONE, RIGHT, Reader, answer_chances, last_kinds, plurality, vote_chances

__all__ = ["Team", "TeamValues"]

Array = NDArray[np.float64]

_SAME_QUERIES = 2
"""Episodes of each agent in the independent vote that has at least as many queries as a debate."""


@dataclass(frozen=True, slots=True)
class Team:
    """Agents; a member is a generator and its critic."""

    generators: tuple[Reader, ...]
    critics: tuple[Critic, ...]


@dataclass(frozen=True)
class TeamValues:
    """Values over the questions of a population.

    Attributes:
        world: all its questions, see `population_of`.
        weights: float64 [questions], share of each.
        allowed: bool [situations, 3], what critics can do.
        k: episodes of pass@k.
    """

    world: KindWorld
    weights: Array
    allowed: NDArray[np.bool_]
    k: int = 8

    @cached_property
    def _episodes(self) -> tuple[Episodes, NDArray[np.int64]]:
        listed = list_episodes(self.world)
        _, hops, num_kinds = self.world.present.shape
        even = kind_probabilities(np.zeros(self.world.table_shape))
        return listed, last_kinds(listed.outcomes(even), hops, num_kinds)

    def values(self, team: Team) -> dict[str, float]:
        """All measures of a team: those of `accuracy`, `difference` and `debate`."""
        outcomes, answers = self._played(team.generators)
        return {
            **self.accuracy(answers),
            **self.difference(team.generators, outcomes),
            **self.debate(team, outcomes, answers),
        }

    @property
    def answerable(self) -> float:
        """Share of questions that some order of kinds answers."""
        return self._mean(np.any(self._episodes[1] >= 0, axis=1).astype(np.float64))

    def accuracy(self, answers: Sequence[Array]) -> dict[str, float]:
        """pass@1 and pass@k of the agents on average; team@k of k episodes by agents drawn at random; wrong, the share
        of wrong answers of an agent; self_vote, the vote of three episodes of one agent; vote_first, that of one
        episode of each agent, and vote_six, of two each.

        Args:
            answers: [agent] from `answer_chances`.
        """
        right = np.stack([one[:, RIGHT] for one in answers])
        each = len(answers)
        return {
            "pass@1": self._mean(right.mean(0)),
            f"pass@{self.k}": self._mean((1 - (1 - right) ** self.k).mean(0)),
            f"team@{self.k}": self._mean(1 - (1 - right.mean(0)) ** self.k),
            "wrong": self._mean(np.mean([one[:, RIGHT + 1 :].sum(1) for one in answers], axis=0)),
            "self_vote": self._mean(np.mean([vote_chances([one] * each)[:, RIGHT] for one in answers], axis=0)),
            "vote_first": self._mean(vote_chances(answers)[:, RIGHT]),
            "vote_six": self._mean(vote_chances([*answers] * _SAME_QUERIES)[:, RIGHT]),
        }

    def difference(self, readers: Sequence[Reader], outcomes: Sequence[Outcomes]) -> dict[str, float]:
        """How unlike agents are, over pairs of agents, and how varied one is.

        difference: total variation between the query sequences of two agents on a question, 0 of copies, 1 of agents
        that never do the same. across: chance that right episodes of two agents found different evidence; within: the
        same of two episodes of one agent; excess: across minus within. reading_difference: total variation between
        the clauses that two agents take, mean over kinds. entropy: of a query, nats.
        """
        paths = [self._right_paths(one, reader) for one, reader in zip(outcomes, readers)]
        reads = [choice_probabilities(reader.reading) for reader in readers]
        pairs = list(combinations(range(len(readers)), 2))
        across = float(np.mean([self._unlike(paths[i], paths[j]) for i, j in pairs]))
        within = float(np.mean([self._unlike(one, one) for one in paths]))
        apart = [np.abs(outcomes[i].chances - outcomes[j].chances).sum(1) / 2 for i, j in pairs]
        chances = np.array([self._decisions(one) for one in outcomes])
        return {
            "difference": self._mean(np.mean(apart, axis=0)),
            "across": across,
            "within": within,
            "excess": across - within,
            "reading_difference": float(np.mean([np.abs(reads[i] - reads[j]).sum(1).mean() / 2 for i, j in pairs])),
            "entropy": float(chances.mean()),
        }

    def debate(self, team: Team, outcomes: Sequence[Outcomes], answers: Sequence[Array]) -> dict[str, float]:
        """What critics do, mean over agents.

        vote_last: accuracy of the vote after the critics; last@1: of an agent's answer then. copies: chance to copy
        where others say something else; blind_copies: the same if the others' answers are to another question.
        copied_share: of an agent's changed answers, those that were copied. repaired, spoiled: chance that an answer
        that was not right becomes so, and the reverse. agree_first, agree_last: chance that two agents have the same
        answer, given that both have one. look: chance to look again. labelled, label_accuracy: share of questions with
        a vote after the critics, and of these that of right votes. queries: of a debate over those of first answers.
        """
        agents, num_answers = len(answers), answers[0].shape[1]
        seen = situations(agents, num_answers)
        said = np.array(list(np.ndindex(*(num_answers,) * agents)))  # [combinations, agents]
        mass = np.prod([one[:, said[:, agent]] for agent, one in enumerate(answers)], axis=0)  # [rows, combinations]
        again = self._played([critic.reader for critic in team.critics])
        last, tallies, looks = [], [], []
        for agent, critic in enumerate(team.critics):
            acts = choice_probabilities(critic.decide, self.allowed)
            done = acts[seen.codes[agent]]
            own = np.eye(num_answers)[said[:, agent]]
            looked = again[1][agent][:, None, :].repeat(len(said), 1)
            found = np.concatenate([np.zeros_like(looked[..., :1]), looked[..., 1:]], -1) + looked[..., :1] * own
            parts = (done[:, KEEP, None] * own, done[:, COPY, None] * seen.others[agent], done[:, LOOK, None] * found)
            last.append(parts[KEEP] + parts[COPY] + parts[LOOK])
            looks.append((mass * done[:, LOOK]).sum(1))
            tallies.append(self._critic_row(mass, parts, said[:, agent], seen.codes[agent] % agents, done))
            tallies[-1] |= {"look": self._mean(looks[-1]), "blind_copies": self._blind(acts, answers, agent)}
        votes = _summed(mass, last) @ plurality(agents, num_answers)
        labelled, right = 1 - self._mean(votes[:, NONE]), self._mean(votes[:, RIGHT])
        pairs = list(combinations(range(agents), 2))
        first_mass = [np.eye(num_answers)[said[:, agent]][None].repeat(len(mass), 0) for agent in range(agents)]
        first_queries = sum(self._mean(self._searches(one)) for one in outcomes)
        further = sum(self._mean(look * self._searches(one)) for look, one in zip(looks, again[0]))
        return {
            **{name: float(np.mean([row[name] for row in tallies])) for name in tallies[0]},
            "vote_last": right,
            "last@1": float(np.mean([self._mean((mass * one[..., RIGHT]).sum(1)) for one in last])),
            "labelled": labelled,
            "label_accuracy": right / labelled if labelled else float("nan"),
            "agree_first": self._agreement(mass, first_mass, pairs),
            "agree_last": self._agreement(mass, last, pairs),
            "queries": 1 + further / first_queries,
        }

    def _critic_row(
        self,
        mass: Array,
        parts: Sequence[Array],
        own: NDArray[np.int64],
        rivals: NDArray[np.int64],
        done: Array,
    ) -> dict[str, float]:
        """Measures of one critic; parts are the chances of each answer by each action, [.., combinations, answers]."""
        whole = parts[KEEP] + parts[COPY] + parts[LOOK]
        changed, copied = (
            self._mean((mass * (part.sum(-1) - part[..., np.arange(len(own)), own])).sum(1))
            for part in (whole, np.broadcast_to(parts[COPY], whole.shape))
        )
        was_right, now_right = own == RIGHT, whole[..., RIGHT]
        return {
            "copies": self._share(mass, done[:, COPY], rivals > 0),
            "copied_share": copied / changed if changed else float("nan"),
            "repaired": self._share(mass, now_right, ~was_right),
            "spoiled": self._share(mass, 1 - now_right, was_right),
        }

    def _share(self, mass: Array, chance: Array, where: NDArray[np.bool_]) -> float:
        """Mean of a chance, [combinations] or [rows, combinations], over some combinations; NaN if these never are."""
        total = self._mean((mass * where).sum(1))
        return self._mean((mass * where * chance).sum(1)) / total if total > 0 else float("nan")

    def _blind(self, acts: Array, answers: Sequence[Array], agent: int) -> float:
        """Chance to copy where the others speak of another question, so that none can agree with the agent."""
        agents = len(answers)
        rest = [one for at, one in enumerate(answers) if at != agent]
        said = np.array(list(np.ndindex(*(rest[0].shape[1],) * len(rest))))
        mass = self.weights @ np.prod([one[:, said[:, at]] for at, one in enumerate(rest)], axis=0)
        top = np.array([np.bincount(row[row != NONE], minlength=1).max() for row in said])
        has = 1 - self._mean(answers[agent][:, NONE])
        copy = (1 - has) * acts[top, COPY] + has * acts[agents * agents + top, COPY]
        return float((mass * copy)[top > 0].sum() / mass[top > 0].sum())

    def _agreement(self, mass: Array, last: Sequence[Array], pairs: Sequence[tuple[int, int]]) -> float:
        same, both = 0.0, 0.0
        for i, j in pairs:
            one, other = (np.broadcast_to(last[at], (*mass.shape, last[at].shape[-1])) for at in (i, j))
            same += self._mean((mass[..., None] * one[..., 1:] * other[..., 1:]).sum((1, 2)))
            both += self._mean((mass * one[..., 1:].sum(-1) * other[..., 1:].sum(-1)).sum(1))
        return same / both if both else float("nan")

    def _played(self, readers: Sequence[Reader]) -> tuple[list[Outcomes], list[Array]]:
        listed, last = self._episodes
        outcomes = [listed.outcomes(kind_probabilities(one.search)) for one in readers]
        return outcomes, [answer_chances(one, last, reader.reading) for one, reader in zip(outcomes, readers)]

    def _right_paths(self, outcomes: Outcomes, reader: Reader) -> Array:
        """Chance of a right episode on each path, float64 [questions, paths]."""
        _, last = self._episodes
        read = np.where(last < 0, 0.0, choice_probabilities(reader.reading)[last, 0])
        codes, place = np.unique(np.where(outcomes.success, outcomes.codes["evidence"], 0), return_inverse=True)
        out = np.zeros((len(last), len(codes)))
        np.add.at(out, (np.arange(len(last))[:, None], place.reshape(last.shape)), outcomes.chances * read)
        return out

    def _unlike(self, one: Array, other: Array) -> float:
        """Chance that two right episodes took different paths, questions weighed by their pairs of right episodes."""
        both, same = one.sum(1) * other.sum(1), (one * other).sum(1)
        return self._mean(both - same) / self._mean(both)

    def _decisions(self, outcomes: Outcomes) -> float:
        made = self._mean((outcomes.chances * outcomes.decisions).sum(1))
        return self._mean((outcomes.chances * outcomes.entropies).sum(1)) / made

    def _searches(self, outcomes: Outcomes) -> Array:
        out: Array = (outcomes.chances * outcomes.decisions).sum(1)
        return out

    def _mean(self, values: Array) -> float:
        return float(self.weights @ values)


def _summed(mass: Array, last: Sequence[Array]) -> Array:
    """Chance of every combination of last answers, float64 [rows, combinations].

    Args:
        mass: float64 [rows, combinations], chance of the first answers.
        last: [agent] chances of its last answer, float64 [rows, combinations, answers].
    """
    joint = mass[..., None]
    for one in last[:-1]:
        joint = (joint[..., :, None] * one[..., None, :]).reshape(*mass.shape, -1)
    out: Array = np.matmul(joint.transpose(0, 2, 1), last[-1]).reshape(len(mass), -1)
    return out
