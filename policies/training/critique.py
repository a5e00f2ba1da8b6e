"""Critique models in the loop (AutoMathCritique, arXiv 2411.16579), adapted to search.

In a round the actor samples answers, a critic comments on the wrong ones, and the actor tries again with the comment in
its prompt. Right answers become training data without the comment; the base model is then trained from scratch on the
seed data and this round's. Differs from the paper: a rewrite is a new episode with a fresh search budget, and a comment
that reveals the answer or a title is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...envs.answers import normalize
from ...envs.episode import Episode
from ...envs.questions import EpisodeSpec, Question
from ...envs.world import english_voice
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.searcher import Searcher
from ..policy import Policy, Sampling
from ..rollout import rollout

__all__ = [
    "CRITICS",
    "Critic",
    "CritiqueConfig",
    "CritiqueRound",
    "critique_round",
    "leaks",
    "void_kinds",
    "with_comment",
]

Critic = Callable[[Episode], str]
"""Reads a wrong episode and returns a comment; in training it may use the question's evidence."""


def missing_hop(episode: Episode) -> str:
    """Names the first hop whose evidence was not found; needs questions with known evidence."""
    shown = episode.shown_ids
    for path in episode.question.evidence[:1]:
        for number, hop in enumerate(path, 1):
            if not hop & shown:
                return f"step {number} was not found: search for it again in another way"
    return "all passages were found: read them again" if episode.question.evidence else "check again"


def void_kinds(episode: Episode) -> tuple[tuple[str, ...], ...]:
    """[hop] -> kinds of record that the episode's own passages show to be void, in the order of its searches (World).

    Only the question and what the policy was shown are read, and no evidence: facts of hops that it did not reach, from
    the right entity, are not known.

    Raises:
        BerrypickError: the question is not one of World.
    """
    read = english_voice.read_question(episode.question.text.split("\n")[0])
    if read is None:
        raise BerrypickError(f"question {episode.question.id} is not a World question; choose another critic")
    entity, relations = read
    found: list[dict[str, None]] = [{} for _ in relations]
    hop = 0
    for hit in (hit for turn in episode.turns for ranking in turn.hits for hit in ranking):
        fact = english_voice.find_fact(hit.text, entity, relations[hop])
        if fact is None:
            continue
        if fact.obj is None:
            found[hop][fact.kind] = None
            continue
        entity, hop = fact.obj, hop + 1
        if hop == len(relations):
            break
    return tuple(map(tuple, found))


def void_records(episode: Episode) -> str:
    """Names the kinds of record that are void, hop by hop, in the closed voice: "founder is lost in ledger."."""
    read = english_voice.read_question(episode.question.text.split("\n")[0])
    relations = read[1] if read else ()
    parts = [
        f"{relation} is lost in {' '.join(kinds)}." for relation, kinds in zip(relations, void_kinds(episode)) if kinds
    ]
    return " ".join(parts) or unknown(episode)


def unknown(episode: Episode) -> str:
    """Control, "check again" in a word of the closed voice, for policies that know no other words."""
    return "unknown"


def check_again(episode: Episode) -> str:
    """Control: the same comment always."""
    return "check again"


def right_or_wrong(episode: Episode) -> str:
    """Control: says only whether the answer was right."""
    return "right" if episode.correct else "wrong"


CRITICS: dict[str, Critic | None] = {
    "missing_hop": missing_hop,
    "void_records": void_records,
    "unknown": unknown,
    "check_again": check_again,
    "right_or_wrong": right_or_wrong,
    "resample": None,
}
"""Critics by name; "resample" is the control without a comment: equally many new attempts."""


@dataclass(frozen=True)
class CritiqueConfig:
    """A round of the critique loop.

    Attributes:
        num_samples: first attempts per question.
        reserved: most right rewrites to accept for a question without a right first attempt.
        shuffled: control: each wrong answer gets the comment of another one.
        sampling: how tokens are drawn.
        seed: of the round.
    """

    num_samples: int = 4
    reserved: int = 1
    shuffled: bool = False
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.7))
    seed: int = 0


@dataclass(frozen=True)
class CritiqueRound:
    """The episodes that a round accepted, and its cost, which controls must match.

    Attributes:
        accepted: right episodes, with the original question and no comment: the training data.
        first_right: number of questions that a first attempt solved.
        repaired: number of questions that only a rewrite solved.
        num_generations: episodes played, rewrites included.
        num_leaks: comments dropped because they revealed the answer or a title.
        num_retries: rewrites among the episodes played.
        num_right_retries: right ones among them.
    """

    accepted: tuple[Episode, ...]
    first_right: int
    repaired: int
    num_generations: int
    num_leaks: int
    num_retries: int = 0
    num_right_retries: int = 0


def critique_round(
    actor: Policy,
    critic: Critic | None,
    questions: Sequence[Question],
    spec: EpisodeSpec,
    searcher: Searcher,
    config: CritiqueConfig,
) -> CritiqueRound:
    """Plays one round: accepts the right first attempts of a question, or up to `reserved` right rewrites if none.

    A question with a right first attempt is not tried again, since no rewrite of it would be accepted.
    """

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
    solved = {episode.question.id for episode in accepted}
    wrong = [
        (number, episode)
        for group in first
        for number, episode in enumerate(group)
        if not episode.correct and episode.question.id not in solved
    ]
    comments = [critic(episode) if critic else "" for _, episode in wrong]
    if config.shuffled:
        comments = [comments[at] for at in np.random.default_rng((config.seed, 19)).permutation(len(comments))]
    hinted: list[Question] = []
    leaked = 0
    for (number, episode), comment in zip(wrong, comments):
        if leaks(comment, episode):
            leaked += 1
            continue
        told = with_comment(episode.question, comment)
        hinted.append(replace(told, id=f"{told.id}#{number}"))
    by_id = {question.id: question for question in questions}
    repaired: dict[str, list[Episode]] = {}
    for (episode,) in play(hinted, 1, 1):
        original = by_id[episode.question.id.rpartition("#")[0]]
        if episode.correct:
            repaired.setdefault(original.id, []).append(replace(episode, question=original))
    chosen = [rewrites[: config.reserved] for rewrites in repaired.values()]
    accepted += [episode for rewrites in chosen for episode in rewrites]
    total = len(questions) * config.num_samples + len(hinted)
    right = sum(map(len, repaired.values()))
    return CritiqueRound(tuple(accepted), first_right, len(chosen), total, leaked, len(hinted), right)


def with_comment(question: Question, comment: str) -> Question:
    """The question with a comment in the line below; without one, the question."""
    return replace(question, text=f"{question.text}\n{comment}") if comment else question


def leaks(comment: str, episode: Episode) -> bool:
    """Whether a comment contains an accepted answer or the title of a supporting passage."""
    said = f" {normalize(comment)} "
    titles = episode.question.metadata.get("supporting_titles", ())
    return any(f" {normalize(secret)} " in said for secret in (*episode.question.answers, *titles) if normalize(secret))
