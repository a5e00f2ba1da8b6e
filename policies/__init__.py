"""Text models that act: scripted policies, language models, remote models, and the rollouts they play."""

from __future__ import annotations

from .chat import ChatPolicy, open_chat
from .open_policy import MODELS, open_policy
from .policy import CompletesEpisodes, Policy, Sampling, Session
from .remote import RemotePolicy, open_remote
from .rollout import SEARCH_FAILED, WINDOW_FULL, rollout
from .scripted import SCRIPTED, ScriptedPolicy, scripted_policy

__all__ = [
    "MODELS",
    "SCRIPTED",
    "SEARCH_FAILED",
    "WINDOW_FULL",
    "ChatPolicy",
    "CompletesEpisodes",
    "Policy",
    "RemotePolicy",
    "Sampling",
    "ScriptedPolicy",
    "Session",
    "open_chat",
    "open_policy",
    "open_remote",
    "rollout",
    "scripted_policy",
]
