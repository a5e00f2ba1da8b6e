"""The rollouts of a step as rows of tokens: what sampled them, what they are worth, what the reference says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ...envs.episode import Episode
from ...envs.formats.turn_format import Answer
from ...envs.metrics.entropy import query_token_mask
from ...retrieval_index.errors import BerrypickError
from ..language.batches import TokenRows, score_rows
from ..language.episode_rows import rows_of
from ..language.model import LanguageModelPolicy
from ..objectives.objective import Advantages, Objective

__all__ = ["StepRows", "step_rows"]


@dataclass(frozen=True)
class StepRows:
    """The step's rollouts; per-token tensors [T_i] over each one's policy tokens, in order."""

    data: TokenRows
    old: Sequence[Tensor]
    advantages: Sequence[Tensor]
    reference: Sequence[Tensor] | None


def step_rows(
    policy: LanguageModelPolicy,
    episodes: Sequence[Episode],
    advantages: Advantages,
    objective: Objective,
    reference: PreTrainedModel | None,
    max_tokens: int,
) -> StepRows:
    """Encodes ended episodes with exact tokens; a bonus keeps off the answer's tokens unless the objective wants it."""
    data = rows_of(policy, episodes)
    if not data.num_policy_tokens:
        raise BerrypickError("no rollout of the step wrote a token; check the prompt's length and --max-new-tokens")
    per_token = []
    for episode, base, bonus in zip(episodes, advantages.base.flatten(), advantages.bonus.flatten()):
        everywhere = objective.bonus_on_answer_tokens
        outside = torch.from_numpy(~_answer_tokens(episode)).double()
        per_token.append(base + bonus * (torch.ones_like(outside) if everywhere else outside))
    held = None
    if objective.needs_reference:
        if reference is None:
            raise BerrypickError(f"objective {objective.name} holds on to a reference policy, but none was given")
        held = [log_probs for log_probs, _ in score_rows(reference, data, max_tokens)]
    return StepRows(data, [_sampled_log_probs(episode) for episode in episodes], per_token, held)


def _sampled_log_probs(episode: Episode) -> Tensor:
    parts = [tokens.log_probs for _, tokens in episode.token_turns]
    return torch.from_numpy(np.concatenate(parts) if parts else np.zeros(0, np.float32))


def _answer_tokens(episode: Episode) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of a rollout's policy tokens write the final answer, bool [T]."""
    parts = [np.zeros(0, np.bool_)]
    for turn, tokens in episode.token_turns:
        if isinstance(turn.action, Answer):
            parts.append(query_token_mask(tokens.char_starts, turn.draft.text, [turn.action.span]))
        else:
            parts.append(np.zeros(len(tokens.ids), np.bool_))
    return np.concatenate(parts)
