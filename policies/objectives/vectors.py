"""Reward vectors of groups: those of the environment, with one exception for episodes of one answer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...envs.episode import Episode
from ...envs.reward_vectors import vector_table
from ...envs.rewards import hop_hits

__all__ = ["episode_vectors"]


def episode_vectors(groups: Sequence[Sequence[Episode]]) -> tuple[Tensor, tuple[str, ...]]:
    """Reward vectors, see `envs/reward_vectors.py`.

    Where one answer is asked for and it cites nothing, a hop counts if a passage of it was shown: such an episode
    vouches for its answer with its searches.

    Args:
        groups: ended episodes, [question][sample], of one `num_answers` m.

    Returns:
        float64 [Q, G, m, d] and the names of the d dimensions.
    """
    flat = [episode for group in groups for episode in group]
    names, table = vector_table(flat)
    for row, episode in zip(table, flat):
        if episode.spec.num_answers == 1 and episode.candidates and not episode.candidates[0].cited:
            for p, hits in enumerate(hop_hits(episode.question.evidence, episode.shown_ids), 1):
                for h, hit in enumerate(hits, 1):
                    row[0, names.index(f"path{p}/hop{h}")] = float(hit)
    return torch.from_numpy(table).reshape(len(groups), -1, *table.shape[1:]), names
