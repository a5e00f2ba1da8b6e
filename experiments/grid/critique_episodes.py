"""Measures of the critique loop that are counted from episodes of a language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...envs.episode import Episode
from ...envs.questions import Question
from ...envs.world.facts import WorldFacts
from ...policies.tabular.retry_values import hardest
from .critique_measures import HARD, shares_of_accepted

if TYPE_CHECKING:
    from ...policies.training.critique import CritiqueRound

__all__ = ["accepted_shares", "hard_questions"]


def hard_questions(questions: Sequence[Question], success: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each question is among the hardest quarter of the solvable ones."""
    solvable = _solvable(questions)
    return hardest(success, solvable, np.full(len(questions), 1 / len(questions)), HARD)


def _solvable(questions: Sequence[Question]) -> NDArray[np.bool_]:
    return np.array([all(WorldFacts.required(question, "the critique loop").present) for question in questions])


def accepted_shares(
    played: CritiqueRound, questions: Sequence[Question], hard: NDArray[np.float64]
) -> dict[str, float]:
    """Measures of the accepted episodes of a round."""
    place = {question.id: at for at, question in enumerate(questions)}
    whose = [place[episode.question.id] for episode in played.accepted]
    ways = {(at, _signature(episode)) for at, episode in zip(whose, played.accepted)}
    return {
        **shares_of_accepted(np.bincount(whose, minlength=len(questions)), len(ways), hard, _solvable(questions)),
        "repaired": played.num_right_retries / max(1, played.num_retries),
    }


def _signature(episode: Episode) -> frozenset[str]:
    """The records found that state a fact of the question."""
    return frozenset(
        passage for path in episode.question.evidence for hop in path for passage in hop & episode.shown_ids
    )
