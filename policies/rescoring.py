"""Entropies for rollouts of an engine that returns the chosen tokens' log-probabilities and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from ..envs.episode import Draft, Episode
from .batches import TokenRows, micro_batches, score
from .language_model import LanguageModelPolicy, encode_episode

__all__ = ["fill_entropies"]


def fill_entropies(policy: LanguageModelPolicy, episodes: Sequence[Episode], max_tokens: int = 4096) -> None:
    """Writes the entropy of every sampled token's distribution into ended episodes, in place.

    One training forward of `policy` over each context; the log-probabilities stay those of the engine that sampled.

    Args:
        policy: has the weights that the engine sampled from.
        episodes: with exact tokens.
        max_tokens: padded tokens of a micro-batch.
    """
    encoded = [encode_episode(policy.tokenizer, episode) for episode in episodes]
    data = TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])
    with torch.no_grad():
        for micro in micro_batches(data, max_tokens, policy.model.device):
            _, entropies = score(policy.model, micro)
            for row, part in zip(micro.rows, entropies.float().cpu().split(micro.policy.sum(1).tolist())):
                _put(episodes[row], part)


def _put(episode: Episode, entropies: torch.Tensor) -> None:
    at = 0
    for number, turn in enumerate(episode.turns):
        tokens = turn.draft.tokens
        if tokens is None:
            continue
        part, at = entropies[at : at + len(tokens.ids)].numpy(), at + len(tokens.ids)
        draft = Draft(turn.draft.text, dataclasses.replace(tokens, entropies=part), turn.draft.stopped_by)
        episode.turns[number] = dataclasses.replace(turn, draft=draft)
