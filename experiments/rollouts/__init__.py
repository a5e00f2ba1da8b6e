"""Rollouts in a notebook: `berrypick.Rollouts`; and the episodes of a rollouts file one by one."""

from .episodes import EpisodeFinder, stream_episodes
from .rollouts import FIGURES, Rollouts

__all__ = ["FIGURES", "EpisodeFinder", "Rollouts", "stream_episodes"]
