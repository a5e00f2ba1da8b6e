"""What became of the training questions when they were demonstrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DemonstrationCounts"]


@dataclass(frozen=True)
class DemonstrationCounts:
    """Counts of questions and of their demonstrations.

    Attributes:
        questions: questions played.
        demonstrated: questions with a demonstration.
        left_out: reason -> questions without one.
        demonstrations: episodes to imitate, over all demonstrated questions.
        distinct: those of them that differ from all others of their question.
        with_retry: those of them with a search that brought no new evidence.
        searches: mean searches of an episode to imitate.
    """

    questions: int
    demonstrated: int
    left_out: Mapping[str, int]
    demonstrations: int
    distinct: int
    with_retry: int
    searches: float

    @property
    def reasons(self) -> str:
        """How many questions were left out, and why."""
        return ", ".join(f"{number} {reason}" for reason, number in self.left_out.items())

    def sentence(self, tokens: float) -> str:
        """All counts, and the mean tokens of a demonstration."""
        share = self.demonstrated / self.questions
        left_out = f"; left out: {self.reasons}" if self.left_out else ""
        return (
            f"{self.demonstrated} of {self.questions} questions ({share:.0%}) have a demonstration: "
            f"{self.demonstrations} in all, {self.distinct} different, {self.with_retry} with a second try, "
            f"{tokens:g} tokens each{left_out}"
        )
