"""Multiagent fine-tuning (arXiv 2501.05707), re-stated for search: data of a debate, by agent and role.

N agents answer; in later rounds each sees what the others answered; the majority of the last round is the label.
Generator n learns its own first answers that equal it; critic n learns its last episodes that equal it: all repaired
answers (C-) and about half as many kept ones (C+). Differs from the paper: summaries are the others' answers; C+ items
are written under the same key as C- items; the label may be the truth, as a control.
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

__all__ = ["Debate", "DebateConfig", "debate", "split_data"]

Arm = Literal["own", "union", "random", "size_matched"]


@dataclass(frozen=True)
class DebateConfig:
    """A debate.

    Attributes:
        rounds: of answers, the first included.
        label: "vote" of the last round, or "truth" as a control.
    """

    rounds: int = 2
    label: Literal["vote", "truth"] = "vote"
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0


@dataclass(frozen=True)
class Debate:
    """What a debate gave.

    Attributes:
        episodes: [agent][round][question].
        votes: normalised majority of each question, None without an answer.
        vote_accuracy: share of questions whose vote is right.
        generator_data: [agent] first-round episodes that equal the label.
        critic_data: [agent] last-round episodes that equal the label, their prompts holding the others' answers.
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
    """Plays a debate: generators speak first, critics afterwards."""
    played: list[list[list[Episode]]] = [[] for _ in generators]
    for number in range(config.rounds):
        said = [[_answer(episodes[-1][q]) for episodes in played] if number else [] for q in range(len(questions))]
        for agent, policy in enumerate(critics if number else generators):
            asked = [_shown(question, others, agent) for question, others in zip(questions, said)]
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
    votes = [_majority([_answer(episodes[-1][q]) for episodes in played]) for q in range(len(questions))]
    right = [vote is not None and bool(exact_match(vote, q.answers)) for vote, q in zip(votes, questions)]
    generator_data, critic_data = [], []
    for agent, episodes in enumerate(played):
        first = [_agrees(episode, vote, config.label) for episode, vote in zip(episodes[0], votes)]
        last = [_agrees(episode, vote, config.label) for episode, vote in zip(episodes[-1], votes)]
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
        data: [agent] own episodes.
        arm: "own" as published; "union" gives everyone everything; "size_matched" everyone the same random 1/N of it;
            "random" splits the union over the agents at random.
        seed: of the draws.
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


def _shown(question: Question, answers: Sequence[str | None], agent: int) -> Question:
    """The question with the other agents' answers below it; the agent's own is not among them."""
    others = [answer for at, answer in enumerate(answers) if at != agent and answer is not None]
    return replace(question, text=f"{question.text}\nothers say: {', '.join(others)}") if others else question


def _answer(episode: Episode) -> str | None:
    return None if episode.prediction is None else normalize(episode.prediction)


def _majority(answers: Sequence[str | None]) -> str | None:
    """The most frequent answer; of several, the one that was given first."""
    counts = Counter(answer for answer in answers if answer is not None)
    return counts.most_common(1)[0][0] if counts else None


def _agrees(episode: Episode, vote: str | None, label: str) -> bool:
    return episode.correct if label == "truth" else vote is not None and _answer(episode) == vote


def _critic_items(
    episodes: Sequence[Episode], first: Sequence[bool], last: Sequence[bool], generator: np.random.Generator
) -> tuple[Episode, ...]:
    """All repaired items and, on a fair coin for each of them, a kept one while there are any."""
    repaired = [episode for episode, a, b in zip(episodes, first, last) if b and not a]
    kept = [episode for episode, a, b in zip(episodes, first, last) if b and a]
    order = iter(generator.permutation(len(kept)).tolist())
    coins = generator.random(len(repaired)) < 0.5
    chosen = [kept[i] for coin in coins if coin and (i := next(order, None)) is not None]
    return (*repaired, *chosen)
