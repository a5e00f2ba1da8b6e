"""Rejection-sampling fine-tuning: imitate one's own right rollouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..envs.episode import Episode
from .batches import TokenRows
from .language_model import LanguageModelPolicy, encode_episode

__all__ = ["accepted_episodes", "rows_of"]


def accepted_episodes(
    groups: Sequence[Sequence[Episode]],
    *,
    per_question: int = 1,
    seed: int = 0,
    accept: Callable[[Episode], bool] = lambda episode: episode.correct,
) -> list[Episode]:
    """At most `per_question` accepted rollouts of each question, drawn at random; [question][sample] in.

    The cap keeps easy questions, which succeed often, from filling the data.
    """
    out: list[Episode] = []
    for index, group in enumerate(groups):
        right = [episode for episode in group if accept(episode)]
        order = np.random.default_rng((seed, index)).permutation(len(right))
        out += [right[i] for i in sorted(order[:per_question])]
    return out


def rows_of(policy: LanguageModelPolicy, episodes: Sequence[Episode]) -> TokenRows:
    """Episodes as rows to imitate, token for token as they were sampled."""
    encoded = [encode_episode(policy.tokenizer, episode) for episode in episodes]
    return TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])
