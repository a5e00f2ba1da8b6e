"""Multiagent fine-tuning (arXiv 2501.05707), adapted to search: training data from a debate, by agent and role.

N agents answer; in later rounds each sees the others' answers; the majority answer of the last round is the label.
Generator n learns its own first-round episodes that agree with the label. Critic n learns its last-round episodes that
agree: all whose first answer did not (C-, repaired) and about half as many whose first answer did (C+, unchanged).
Differs from the paper: summaries are the others' answers; C+ items are written under the same key as C- items; the
label may be the true answer, as a control.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ...envs.answers import exact_match, normalize
from ...envs.episode import Episode
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.searcher import Searcher
from ..policy import Policy, Sampling
from ..rollout import rollout

__all__ = ["Debate", "DebateConfig", "answer_of", "debate", "majority", "shown_answers", "split_data"]

Arm = Literal["own", "union", "random", "size_matched"]


@dataclass(frozen=True)
class DebateConfig:
    """A debate.

    Attributes:
        rounds: rounds of answers, including the first.
        label: "vote" is the majority of the last round; "truth" the true answer, as a control.
        sampling: how tokens are drawn.
        seed: of the debate.
        abstentions: normalised answers that count as none, such as "unknown".
    """

    rounds: int = 2
    label: Literal["vote", "truth"] = "vote"
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    abstentions: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Debate:
    """The outcome of a debate.

    Attributes:
        episodes: [agent][round][question].
        votes: normalised majority answer of each question, None without any answer.
        vote_accuracy: share of questions with a right vote.
        generator_data: [agent] first-round episodes that agree with the label.
        critic_data: [agent] last-round episodes that agree with the label; their prompts contain the others' answers.
    """

    episodes: tuple[tuple[tuple[Episode, ...], ...], ...]
    votes: tuple[str | None, ...]
    vote_accuracy: float
    generator_data: tuple[tuple[Episode, ...], ...]
    critic_data: tuple[tuple[Episode, ...], ...]


def debate(
    generators: Sequence[Policy],
    critics: Sequence[Policy],
    questions: Sequence[Question],
    spec: EpisodeSpec,
    searcher: Searcher,
    config: DebateConfig,
) -> Debate:
    """Plays a debate: generators answer in the first round, critics in the later ones."""
    played: list[list[list[Episode]]] = [[] for _ in generators]

    def answer(episode: Episode) -> str | None:
        return answer_of(episode, config.abstentions)

    for number in range(config.rounds):
        said = [[answer(episodes[-1][q]) for episodes in played] if number else [] for q in range(len(questions))]
        for agent, policy in enumerate(critics if number else generators):
            asked = [shown_answers(question, _others(all_said, agent)) for question, all_said in zip(questions, said)]
            groups = rollout(
                policy,
                asked,
                spec,
                searcher,
                num_samples=1,
                sampling=config.sampling,
                seed=(config.seed * 97 + number) * 97 + agent,
            )
            played[agent].append([episode for (episode,) in groups])
    votes = [majority([answer(episodes[-1][q]) for episodes in played]) for q in range(len(questions))]
    right = [vote is not None and bool(exact_match(vote, q.answers)) for vote, q in zip(votes, questions)]
    generator_data, critic_data = [], []
    for agent, episodes in enumerate(played):
        first = [_agrees(episode, vote, config) for episode, vote in zip(episodes[0], votes)]
        last = [_agrees(episode, vote, config) for episode, vote in zip(episodes[-1], votes)]
        generator_data.append(tuple(episode for episode, good in zip(episodes[0], first) if good))
        critic_data.append(_critic_items(episodes[-1], first, last, np.random.default_rng((config.seed, 23, agent))))
    return Debate(
        tuple(tuple(tuple(row) for row in episodes) for episodes in played),
        tuple(votes),
        float(np.mean(right)),
        tuple(generator_data),
        tuple(critic_data),
    )


def split_data(data: Sequence[Sequence[Episode]], arm: Arm, *, seed: int = 0) -> tuple[tuple[Episode, ...], ...]:
    """The training data of each agent under an arm.

    Args:
        data: [agent] its own episodes.
        arm: "own" as published; "union" gives every agent all data; "size_matched" gives every agent the same random
            1/N of all data; "random" splits all data over the agents at random.
        seed: of the random choice.

    Returns:
        [agent] its training episodes.
    """
    union = [episode for own in data for episode in own]
    order = np.random.default_rng((seed, 29)).permutation(len(union))
    if arm == "own":
        return tuple(tuple(own) for own in data)
    if arm == "union":
        return (tuple(union),) * len(data)
    if arm == "size_matched":
        return (tuple(union[i] for i in sorted(order[: len(union) // len(data)])),) * len(data)
    return tuple(tuple(union[i] for i in sorted(part)) for part in np.array_split(order, len(data)))


def shown_answers(question: Question, others: Sequence[str]) -> Question:
    """The question with answers that others gave below it; itself if there are none."""
    return replace(question, text=f"{question.text}\nothers say: {', '.join(others)}") if others else question


def _others(answers: Sequence[str | None], agent: int) -> list[str]:
    return [answer for at, answer in enumerate(answers) if at != agent and answer is not None]


def answer_of(episode: Episode, abstentions: frozenset[str] = frozenset()) -> str | None:
    """The normalised answer of an episode; None without one, or if it is an abstention."""
    answer = None if episode.prediction is None else normalize(episode.prediction)
    return None if answer in abstentions else answer


def majority(answers: Sequence[str | None]) -> str | None:
    """The most frequent answer; the first one if several tie; None if all are."""
    counts = Counter(answer for answer in answers if answer is not None)
    return counts.most_common(1)[0][0] if counts else None


def _agrees(episode: Episode, vote: str | None, config: DebateConfig) -> bool:
    if config.label == "truth":
        return episode.correct
    return vote is not None and answer_of(episode, config.abstentions) == vote


def _critic_items(
    episodes: Sequence[Episode], first: Sequence[bool], last: Sequence[bool], generator: np.random.Generator
) -> tuple[Episode, ...]:
    """All repaired episodes and, for each of them with probability 1/2, one unchanged episode while any is left."""
    repaired = [episode for episode, a, b in zip(episodes, first, last) if b and not a]
    unchanged = [episode for episode, a, b in zip(episodes, first, last) if b and a]
    order = iter(generator.permutation(len(unchanged)).tolist())
    coins = generator.random(len(repaired)) < 0.5
    chosen = [unchanged[i] for coin in coins if coin and (i := next(order, None)) is not None]
    return (*repaired, *chosen)
