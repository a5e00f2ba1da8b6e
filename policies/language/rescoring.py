"""Entropies for rollouts of an engine that returns the chosen tokens' log-probabilities and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from ...envs.episode import Draft, Episode
from .batches import score_rows
from .episode_rows import rows_of
from .model import LanguageModelPolicy

__all__ = ["fill_entropies"]


def fill_entropies(policy: LanguageModelPolicy, episodes: Sequence[Episode], max_tokens: int = 4096) -> None:
    """Writes the entropy of every sampled token's distribution into ended episodes, in place.

    One training forward of `policy` over each context; the log-probabilities stay those of the engine that sampled.

    Args:
        policy: has the weights that the engine sampled from.
        episodes: with exact tokens.
        max_tokens: padded tokens of a micro-batch.
    """
    for episode, (_, entropies) in zip(episodes, score_rows(policy.model, rows_of(policy, episodes), max_tokens)):
        _put(episode, entropies.float())


def _put(episode: Episode, entropies: torch.Tensor) -> None:
    at = 0
    for number, turn in enumerate(episode.turns):
        tokens = turn.draft.tokens
        if tokens is None:
            continue
        part, at = entropies[at : at + len(tokens.ids)].numpy(), at + len(tokens.ids)
        draft = Draft(turn.draft.text, dataclasses.replace(tokens, entropies=part), turn.draft.stopped_by)
        episode.turns[number] = dataclasses.replace(turn, draft=draft)
