"""The rollouts of a step as rows of tokens, with log-probabilities and an advantage for each token."""

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
from ..language.batches import TokenRows, log_probs_of_rows
from ..language.episode_rows import rows_of
from ..language.model import LanguageModelPolicy
from ..objectives.objective import Advantages, Objective

__all__ = ["StepRows", "step_rows"]


@dataclass(frozen=True)
class StepRows:
    """The rollouts of a step; each tensor is [N_i], over the policy tokens of rollout i in order.

    Attributes:
        data: token ids and policy masks.
        old: log-probabilities under the policy that sampled, nats.
        advantages: float64.
        reference: log-probabilities under the reference model, nats; None if the objective does not need them.
    """

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
    """Encodes ended episodes and spreads their advantages over their tokens.

    Tokens of the final answer get no bonus unless the objective says so.

    Raises:
        BerrypickError: no episode has a policy token, or the reference model is missing.
    """
    data = rows_of(policy, episodes)
    if not data.num_policy_tokens:
        raise BerrypickError(
            "no rollout of the step has a policy token; check the prompt's length and --max-new-tokens"
        )
    per_token = []
    for episode, base, bonus in zip(episodes, advantages.base.flatten(), advantages.bonus.flatten()):
        everywhere = objective.bonus_on_answer_tokens
        outside = torch.from_numpy(~_answer_tokens(episode)).double()
        per_token.append(base + bonus * (torch.ones_like(outside) if everywhere else outside))
    fixed = None
    if objective.needs_reference:
        if reference is None:
            raise BerrypickError(f"objective {objective.name} needs a reference model; pass reference=")
        fixed = [log_probs for log_probs, _ in log_probs_of_rows(reference, data, max_tokens)]
    return StepRows(data, [_sampled_log_probs(episode) for episode in episodes], per_token, fixed)


def _sampled_log_probs(episode: Episode) -> Tensor:
    parts = [tokens.log_probs for _, tokens in episode.token_turns]
    return torch.from_numpy(np.concatenate(parts) if parts else np.zeros(0, np.float32))


def _answer_tokens(episode: Episode) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which policy tokens of a rollout write the final answer, bool [N]."""
    parts = [np.zeros(0, np.bool_)]
    for turn, tokens in episode.token_turns:
        if isinstance(turn.action, Answer):
            parts.append(query_token_mask(tokens.char_starts, turn.draft.text, [turn.action.span]))
        else:
            parts.append(np.zeros(len(tokens.ids), np.bool_))
    return np.concatenate(parts)
