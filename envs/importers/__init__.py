"""Rollouts of other systems: opens their files as berrypick's records. The format is recognised by content."""

from __future__ import annotations

from .opening import open_rollouts
from .source import RolloutSource

__all__ = ["RolloutSource", "open_rollouts"]
