"""Shows an evaluation while it is played."""

from __future__ import annotations

from collections.abc import Sequence

from ...envs.episode import Episode
from ..runs.phase_cost import PhaseCost
from .live import LiveView

__all__ = ["EvaluationProgress"]


class EvaluationProgress:
    """What `evaluate` calls: moves the bar, shows the mean reward so far, and estimates what sampling costs.

    Args:
        view: shows it.
        what: is played, for the estimate.
        total: episodes.
        samples: whether a language model samples, whose tokens are counted.
    """

    def __init__(self, view: LiveView, what: str, total: int, *, samples: bool = True) -> None:
        self._view, self._samples = view, samples
        self._reward, self._played = 0.0, 0  # of this call
        self._cost = PhaseCost(view, f"{what}: {total} rollouts", total, unit="sampled tokens")

    def resumed(self, done: int) -> None:
        """Starts after the episodes of an earlier call."""
        self._view.begin(done)
        self._cost.skip(done)

    def progress(self, done: int, batch: Sequence[Episode]) -> None:
        """Counts a batch of episodes; `done` is the number of all so far."""
        self._reward += sum(episode.reward for episode in batch)
        self._played += len(batch)
        self._view.update(done, {"reward": self._reward / self._played}, None)
        if self._samples:
            tokens = sum(len(tokens.ids) for episode in batch for _, tokens in episode.token_turns)
            self._cost.step(tokens, steps=len(batch))
