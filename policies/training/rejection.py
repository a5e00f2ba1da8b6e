"""Rejection-sampling fine-tuning: imitate one's own right rollouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...envs.episode import Episode

__all__ = ["accepted_episodes"]


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
