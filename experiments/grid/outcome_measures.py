"""Distinct outcomes of the tabular policy on its training questions: now, over its whole history, and by label.

A question is *solved* if the start succeeds in one of 64 held-out rollouts, *unsolved* if it does not although some
order of kinds would, and *unanswerable* if none would: there no reward is ever earned. The label is fixed before
training and the same for all arms. Three quantities that are easily mixed up have names of their own:

* distinct@8: distinct outcomes of 8 episodes of one checkpoint (exact);
* history: distinct outcomes, and questions solved at least once, over all episodes played in training so far;
* frozen: the same two for as many episodes of the start, which has not learnt anything (exact); and `again`, for as
  many of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...policies.tabular.kinds import KindWorld, kind_probabilities, play
from ...policies.tabular.outcomes import Episodes, Outcomes, list_episodes, outcomes_of
from ...policies.tabular.training import Batch
from .measuring import RunMeasures

__all__ = ["LABEL_ROLLOUTS", "MEASURES", "measure_outcomes", "question_labels"]

LABEL_ROLLOUTS = 64
K = 8

MEASURES = (
    "pass@1", "pass@8", "pass@1_solved", "pass@1_unsolved", "distinct@8", "distinct@8_solved", "distinct@8_unsolved",
    "distinct@8_unanswerable", "tried@8_unsolved", "decision_entropy", "decision_entropy_solved",
    "decision_entropy_unsolved", "history", "history_solved_share", "frozen", "frozen_solved_share", "again",
    "again_solved_share", "unsolved_questions",
)  # fmt: skip
"""distinct@8 counts evidence found (which kinds of record had each hop's fact), tried@8 also what was tried in vain;
decision_entropy is the entropy of a query, the token entropy of this policy, nats."""


def question_labels(
    world: KindWorld, start: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(solved, unsolved), two bool [questions]; a question that no order answers within the budget is neither."""
    size = len(world.table)
    draws = np.random.default_rng((seed, 23)).random((size * LABEL_ROLLOUTS, world.budget))
    asked = np.repeat(np.arange(size), LABEL_ROLLOUTS)
    played = play(world, kind_probabilities(start), asked, draws)
    won = np.asarray(played.success.reshape(size, LABEL_ROLLOUTS).any(1))
    possible = outcomes_of(world, kind_probabilities(np.zeros_like(start))).solved(1) > 0
    return won, possible & ~won


def measure_outcomes(world: KindWorld, start: NDArray[np.float64], seed: int) -> RunMeasures:
    """The `Measuring` of an experiment whose measures are `MEASURES`."""
    return _OutcomeMeasures(world, start, *question_labels(world, start, seed))


@dataclass
class _OutcomeMeasures:
    """See `RunMeasures`."""

    world: KindWorld
    start: NDArray[np.float64]
    solved: NDArray[np.bool_]
    unsolved: NDArray[np.bool_]
    seen: set[tuple[int, int]] = field(default_factory=set)
    won: set[int] = field(default_factory=set)
    history: list[tuple[int, int, int]] = field(default_factory=lambda: [(0, 0, 0)])
    """Episodes played, (question, outcome) pairs seen, questions solved; after each update."""

    def see(self, batch: Batch) -> None:
        """Adds the evidence found in the episodes of an update."""
        _, relevant = batch.decisions.outcome_masks(len(self.world.kinds))
        asked = np.repeat(batch.questions, batch.rewards.shape[1])
        self.seen.update(zip(asked.tolist(), relevant.tolist()))
        self.won.update(asked[batch.decisions.success].tolist())
        self.history.append((self.history[-1][0] + len(asked), len(self.seen), len(self.won)))

    def values(self, step: int, logits: NDArray[np.float64]) -> Mapping[str, float]:
        """Those of `MEASURES`."""
        found, first = self._outcomes(logits), self._first
        distinct, tried = found.distinct("evidence", K), found.distinct("retrieval", K)
        everything = np.ones_like(self.solved)
        size = len(self.solved)
        episodes, outcomes, won = self.history[step]
        each = episodes / size  # episodes of a question so far
        return {
            "pass@1": float(found.solved(1).mean()),
            "pass@8": float(found.solved(K).mean()),
            "pass@1_solved": _mean(found.solved(1), self.solved),
            "pass@1_unsolved": _mean(found.solved(1), self.unsolved),
            "distinct@8": float(distinct.mean()),
            "distinct@8_solved": _mean(distinct, self.solved),
            "distinct@8_unsolved": _mean(distinct, self.unsolved),
            "distinct@8_unanswerable": _mean(distinct, ~(self.solved | self.unsolved)),
            "tried@8_unsolved": _mean(tried, self.unsolved),
            "decision_entropy": found.decision_entropy(everything),
            "decision_entropy_solved": found.decision_entropy(self.solved),
            "decision_entropy_unsolved": found.decision_entropy(self.unsolved),
            "history": outcomes / size,
            "history_solved_share": won / size,
            "frozen": float(first.distinct("evidence", each).mean()),
            "frozen_solved_share": float(first.solved(each).mean()),
            "again": float(found.distinct("evidence", each).mean()),
            "again_solved_share": float(found.solved(each).mean()),
            "unsolved_questions": float(self.unsolved.sum()),
        }

    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """A policy that always does the same has one outcome; none has more than if all that can be were as likely."""
        possible = self._outcomes(np.zeros_like(self.start)).possible("evidence").astype(np.float64)
        most = possible * (1 - (1 - 1 / possible) ** K)
        answerable = self.solved | self.unsolved
        return {
            "pass@1": (0.0, float(answerable.mean())),
            "distinct@8": (1.0, float(most.mean())),
            "distinct@8_solved": (1.0, _mean(most, self.solved)),
            "distinct@8_unsolved": (1.0, _mean(most, self.unsolved)),
            "distinct@8_unanswerable": (1.0, _mean(most, ~answerable)),
            "history": (0.0, float(possible.mean())),  # before the first episode
            "decision_entropy": (0.0, float(np.log(len(self.world.kinds)))),
        }

    @cached_property
    def _episodes(self) -> Episodes:
        return list_episodes(self.world)

    @cached_property
    def _first(self) -> Outcomes:
        return self._outcomes(self.start)

    def _outcomes(self, logits: NDArray[np.float64]) -> Outcomes:
        return self._episodes.outcomes(kind_probabilities(logits))


def _mean(values: NDArray[np.float64], questions: NDArray[np.bool_]) -> float:
    """Over some questions; NaN for none."""
    return float(values[questions].mean()) if questions.any() else float("nan")
