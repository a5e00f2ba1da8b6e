"""Rollouts of other systems: opens their files as berrypick's records. The format is recognised by content.

`python -m berrypick.envs.importers.documentation` writes docs/rollouts.md from the record's schema and the formats.
"""

from __future__ import annotations

from .atif import atif_of
from .files import Row
from .mapped import MAPPED
from .messages import Chat, read_chat
from .opening import open_rollouts
from .registry import IMPORTERS, Importer, register_importer
from .rollout import Rollout
from .source import RolloutSource
from .transcript import answer_of, answer_turn, question_in, turns_of_text

__all__ = [
    "IMPORTERS",
    "MAPPED",
    "Chat",
    "Importer",
    "Rollout",
    "RolloutSource",
    "Row",
    "answer_of",
    "answer_turn",
    "atif_of",
    "open_rollouts",
    "question_in",
    "read_chat",
    "register_importer",
    "turns_of_text",
]
