"""Rollouts in a notebook: `berrypick.Rollouts`; and the episodes of a rollouts file one by one."""

from .episodes import EpisodeFinder, rollouts_file, stream_episodes

__all__ = ["EpisodeFinder", "rollouts_file", "stream_episodes"]
