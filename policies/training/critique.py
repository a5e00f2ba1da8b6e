"""Critique models in the loop (AutoMathCritique, arXiv 2411.16579), re-stated for search.

A round: the actor samples answers; a critic comments on the wrong ones; the actor tries again, shown the comment; right
answers become training pairs without the comment, and the base model is trained anew on seed data and this round's.
Differs from the paper: a rewrite is a new episode with a fresh search budget, and a critique that gives the answer or a
title away is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ...envs.answers import normalize
from ...envs.episode import Episode
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.searcher import Searcher
from ..policy import Policy, Sampling
from ..rollout import rollout

__all__ = ["CRITICS", "Critic", "CritiqueConfig", "CritiqueRound", "critique_round", "leaks"]

Critic = Callable[[Episode], str]
"""Reads a wrong episode, returns a comment; for training it may read the question's evidence."""


def missing_hop(episode: Episode) -> str:
    """Says which hop of the evidence was not found; the critic of worlds whose evidence is known."""
    shown = episode.shown_ids
    for path in episode.question.evidence[:1]:
        for number, hop in enumerate(path, 1):
            if not hop & shown:
                return f"step {number} was not found: search for it again in another way"
    return "all passages were found: read them again" if episode.question.evidence else "check again"


def check_again(episode: Episode) -> str:
    """The generic control."""
    return "check again"


def right_or_wrong(episode: Episode) -> str:
    """The oracle control without text: whether the answer was right."""
    return "right" if episode.correct else "wrong"


CRITICS: dict[str, Critic | None] = {
    "missing_hop": missing_hop,
    "check_again": check_again,
    "right_or_wrong": right_or_wrong,
    "resample": None,
}
"""Critics by name; "resample" is the blind control: the same number of new attempts, shown nothing."""


@dataclass(frozen=True)
class CritiqueConfig:
    """One round.

    Attributes:
        num_samples: first attempts a question.
        reserved: rewrites kept a question where no first attempt is right.
    """

    num_samples: int = 4
    reserved: int = 1
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.7))
    seed: int = 0


@dataclass(frozen=True)
class CritiqueRound:
    """What a round accepted, with the costs its controls must match.

    Attributes:
        accepted: right episodes about the plain question: train on these.
        first_right: questions that a first attempt solved.
        repaired: questions that only a rewrite solved.
        num_generations: episodes played, rewrites included.
        num_leaks: critiques dropped because they gave something away.
    """

    accepted: tuple[Episode, ...]
    first_right: int
    repaired: int
    num_generations: int
    num_leaks: int


def critique_round(
    actor: Policy,
    critic: Critic | None,
    questions: Sequence[Question],
    spec: EpisodeSpec,
    searcher: Searcher,
    config: CritiqueConfig,
) -> CritiqueRound:
    """Plays one round; keeps all right first attempts, else up to `reserved` right rewrites of a question."""

    def play(asked: Sequence[Question], samples: int, offset: int) -> list[list[Episode]]:
        return rollout(
            actor,
            asked,
            spec,
            searcher,
            num_samples=samples,
            sampling=config.sampling,
            seed=2 * config.seed + offset,
        )

    first = play(questions, config.num_samples, 0)
    accepted = [episode for group in first for episode in group if episode.correct]
    first_right = sum(any(episode.correct for episode in group) for group in first)
    hinted: list[Question] = []
    leaked = 0
    for group in first:
        for number, episode in enumerate(group):
            if episode.correct:
                continue
            comment = critic(episode) if critic else ""
            if leaks(comment, episode):
                leaked += 1
                continue
            text = f"{episode.question.text}\n{comment}" if comment else episode.question.text
            hinted.append(replace(episode.question, id=f"{episode.question.id}#{number}", text=text))
    by_id = {question.id: question for question in questions}
    repaired: dict[str, list[Episode]] = {}
    for (episode,) in play(hinted, 1, 1):
        original = by_id[episode.question.id.rpartition("#")[0]]
        if episode.correct:
            repaired.setdefault(original.id, []).append(replace(episode, question=original))
    solved = {episode.question.id for episode in accepted}
    kept = [rewrites[: config.reserved] for key, rewrites in repaired.items() if key not in solved]
    accepted += [episode for rewrites in kept for episode in rewrites]
    total = len(questions) * config.num_samples + len(hinted)
    return CritiqueRound(tuple(accepted), first_right, len(kept), total, leaked)


def leaks(comment: str, episode: Episode) -> bool:
    """Whether a comment says an accepted answer or the title of a passage in the question's evidence."""
    said = f" {normalize(comment)} "
    titles = episode.question.metadata.get("supporting_titles", ())
    return any(f" {normalize(secret)} " in said for secret in (*episode.question.answers, *titles) if normalize(secret))
