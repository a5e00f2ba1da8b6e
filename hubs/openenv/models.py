"""What the client sends and gets: a turn as text, and the environment's answer to it."""

from berrypick.envs.adapters.openenv import SearchAction, SearchObservation, SearchState

__all__ = ["SearchAction", "SearchObservation", "SearchState"]
