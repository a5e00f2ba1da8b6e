"""Ended episodes as rows of tokens, and the rows that fit into a model's window."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ...envs.episode import Episode
from ...retrieval_index.errors import BerrypickError
from .batches import TokenRows, used_length
from .encoding import encode_episode
from .model import LanguageModelPolicy

__all__ = ["rows_of", "within_window"]

logger = logging.getLogger(__name__)


def rows_of(policy: LanguageModelPolicy, episodes: Sequence[Episode]) -> TokenRows:
    """One row per episode, with the tokens exactly as sampled and the policy's own tokens marked."""
    encoded = [encode_episode(policy.tokenizer, episode) for episode in episodes]
    return TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])


def within_window(policy: LanguageModelPolicy, rows: TokenRows) -> TokenRows:
    """The rows whose policy tokens all lie inside the policy's window; logs how many were dropped.

    Raises:
        BerrypickError: there are rows, but none fits.
    """
    fitting = [row for row, mask in enumerate(rows.masks) if used_length(mask) <= policy.window]
    dropped = len(rows.ids) - len(fitting)
    if dropped and not fitting:
        raise BerrypickError(
            f"all {dropped} demonstrations exceed the window of {policy.window} tokens of {policy.policy_id}; allow "
            "fewer turns or passages, or choose a model with a longer window"
        )
    if dropped:
        logger.warning(
            "%d of %d demonstrations exceed the window of %d tokens of %s and are left out",
            dropped,
            len(rows.ids),
            policy.window,
            policy.policy_id,
        )
    return rows.select(fitting) if dropped else rows
