"""Ended episodes as rows of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from ..envs.episode import Episode
from .batches import TokenRows
from .language_model import LanguageModelPolicy, encode_episode

__all__ = ["rows_of"]


def rows_of(policy: LanguageModelPolicy, episodes: Sequence[Episode]) -> TokenRows:
    """One row an episode, token for token as it was sampled; the policy's own tokens are marked."""
    encoded = [encode_episode(policy.tokenizer, episode) for episode in episodes]
    return TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])
