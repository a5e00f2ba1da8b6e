"""A debate of tabular agents: generators answer, critics see what the others say, and the majority is the label.

A critic knows whether it has an answer, how many others agree with it, and how many stand behind the most frequent
other answer. It keeps its answer, copies that other answer (one of them, if several are as frequent), or looks again:
it plays an episode of its own and takes what this finds, if anything. Copying and looking are told apart because a
critic that only copies adds agreement to a vote, and no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .choices import choice_probabilities, draw_choices
from .kinds import KindWorld
from .readers import NONE, Answers, Reader, play_answers, plurality

__all__ = [
    "COPY",
    "KEEP",
    "LOOK",
    "Critic",
    "Debate",
    "Situations",
    "allowed_actions",
    "debate",
    "draw_votes",
    "num_situations",
    "situations",
]

Array = NDArray[np.float64]
KEEP, COPY, LOOK = range(3)


@dataclass(frozen=True, slots=True)
class Critic:
    """An agent's second policy.

    Attributes:
        reader: plays the episode of a critic that looks again.
        decide: float64 [situations, 3], logits of keeping, copying and looking.
    """

    reader: Reader
    decide: Array


@dataclass(frozen=True, slots=True)
class Situations:
    """What the critic of each agent sees, for every combination of first answers, in the order of `plurality`.

    Attributes:
        codes: int64 [agents, combinations], see `situations`.
        others: float64 [agents, combinations, answers], chance that copying gives each answer; zeros where there is
            nothing to copy.
    """

    codes: NDArray[np.int64]
    others: Array


@dataclass(frozen=True, slots=True)
class Debate:
    """A debate on some questions.

    Attributes:
        first: [agent] the generators' episodes.
        situations: int64 [agents, questions], what each critic saw.
        actions: int64 [agents, questions], what it did.
        looked: [agent] the episodes that critics play when they look; of other critics they are not used.
        last: int64 [agents, questions], answers after the critics.
    """

    first: tuple[Answers, ...]
    situations: NDArray[np.int64]
    actions: NDArray[np.int64]
    looked: tuple[Answers, ...]
    last: NDArray[np.int64]

    @property
    def first_answers(self) -> NDArray[np.int64]:
        """Before the critics, int64 [agents, questions]."""
        return np.stack([one.answers for one in self.first])


def num_situations(agents: int) -> int:
    """Rows of a critic's table."""
    return 2 * agents * agents


@lru_cache(maxsize=8)
def situations(agents: int, num_answers: int) -> Situations:
    """Has the critic an answer, how many others share it, how many stand behind the most frequent other answer.

    The code of a situation is its number in base `agents`, the first of the three leading.
    """
    codes, others = [], []
    for said in product(range(num_answers), repeat=agents):
        seen, offered = [], []
        for agent, own in enumerate(said):
            rest = np.bincount([*said[:agent], *said[agent + 1 :]], minlength=num_answers)
            support = int(rest[own]) if own != NONE else 0
            rest[[NONE, own]] = 0
            top = int(rest.max())
            best = (rest == top) & (rest > 0)
            seen.append(((own != NONE) * agents + support) * agents + top)
            offered.append(best / max(best.sum(), 1))
        codes.append(seen)
        others.append(offered)
    return Situations(np.array(codes).T.copy(), np.array(others).transpose(1, 0, 2).copy())


def allowed_actions(agents: int, *, copies: bool = True, looks: bool = True) -> NDArray[np.bool_]:
    """What a critic can do in each situation, bool [situations, 3]; nobody copies where there is nothing to copy."""
    out = np.ones((num_situations(agents), 3), np.bool_)
    out[:, COPY] = copies & (np.arange(len(out)) % agents > 0)
    out[:, LOOK] = looks
    return out


def debate(
    world: KindWorld,
    generators: Sequence[Reader],
    critics: Sequence[Critic],
    questions: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    seed: tuple[int, ...],
) -> Debate:
    """Plays a debate on the questions; equal seeds draw equal random numbers for each agent."""
    agents, num_answers = len(generators), 1 + generators[0].reading.shape[1]
    randoms = [np.random.default_rng((*seed, agent)) for agent in range(agents)]
    first = tuple(play_answers(world, one, questions, draws) for one, draws in zip(generators, randoms))
    said = combination([one.answers for one in first], num_answers)
    seen = situations(agents, num_answers)
    actions, looked, last = [], [], []
    for agent, (critic, random) in enumerate(zip(critics, randoms)):
        code = seen.codes[agent, said]
        action = _draw(choice_probabilities(critic.decide, allowed)[code], random)
        copied = _draw(seen.others[agent, said], random)
        again = play_answers(world, critic.reader, questions, random)
        own = first[agent].answers
        found = np.where(again.answers == NONE, own, again.answers)
        last.append(np.choose(action, [own, copied, found]))
        actions.append(action)
        looked.append(again)
    return Debate(first, seen.codes[:, said], np.array(actions), tuple(looked), np.array(last))


def combination(answers: Sequence[NDArray[np.int64]], num_answers: int) -> NDArray[np.int64]:
    """The number of each question's answers among all combinations, int64 [questions]."""
    out = np.zeros(len(answers[0]), np.int64)
    for one in answers:
        out = out * num_answers + one
    return out


def draw_votes(answers: NDArray[np.int64], num_answers: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """The winning answer of each question, int64 [questions]; of those as frequent, one is drawn.

    Args:
        answers: int64 [voters, questions].
        num_answers: number of possible answers, none among them.
        generator: of the draws.
    """
    return _draw(plurality(len(answers), num_answers)[combination(list(answers), num_answers)], generator)


def _draw(chances: Array, generator: np.random.Generator) -> NDArray[np.int64]:
    """A column of each row by its chance; 0 of a row of zeros."""
    edges = chances.cumsum(1)
    return np.where(edges[:, -1] > 0, draw_choices(edges, generator.random(len(chances))), 0)
