"""Interpolates between two checkpoints: a control for methods that may only move along the line from SFT to RL."""

from __future__ import annotations

import copy

import torch

from ...retrieval_index.errors import BerrypickError
from .model import LanguageModelPolicy

__all__ = ["interpolate"]


def interpolate(start: LanguageModelPolicy, end: LanguageModelPolicy, weight: float) -> LanguageModelPolicy:
    """A new policy with the weights (1 - weight) * start + weight * end.

    Raises:
        BerrypickError: the two have different architectures.
    """
    ours, theirs = start.model.state_dict(), end.model.state_dict()
    if {key: value.shape for key, value in ours.items()} != {key: value.shape for key, value in theirs.items()}:
        raise BerrypickError(f"{start.policy_id} and {end.policy_id} differ in shape; give checkpoints of one model")
    model = copy.deepcopy(start.model)
    mixed = {
        key: torch.lerp(value, theirs[key].to(value), weight) if value.is_floating_point() else value
        for key, value in ours.items()
    }
    model.load_state_dict(mixed)
    return LanguageModelPolicy(model, start.tokenizer, f"{start.policy_id}*{1 - weight:g}+{end.policy_id}*{weight:g}")
