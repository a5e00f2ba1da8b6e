"""Registered objectives as losses of the tabular policy, one token per decision."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..objectives.losses import StepTokens, TokenBatch
from ..objectives.objective import RlState, check_group_size, warn_if_idle
from ..objectives.registry import get_objective
from .groups import groups_of_table
from .training import Batch, Loss, log_probs_of

__all__ = ["objective_loss"]


def objective_loss(spec: str, *, reference: Tensor | None = None, collinear: bool = False) -> Loss:
    """The loss of a new run: a decision is a token, and no token belongs to the answer.

    It keeps the state of the objective (outcome counts, adaptive coefficients), so every run needs its own.

    Args:
        spec: an objective's name with options, see `get_objective`.
        reference: logits of the reference policy, for objectives with a KL term.
        collinear: replace every dimension of a reward vector by the mean of all dimensions.
    """
    objective, state = get_objective(spec), RlState()
    sampled: dict[int, float] = {}

    def loss(batch: Batch) -> Tensor:
        if not sampled:
            warn_if_idle(objective, batch.updates)
        g = groups_of_table(batch)
        if not sampled:
            check_group_size(objective, g.size)
        if collinear and g.vectors is not None:
            g = replace(g, vectors=g.vectors.mean(-1, keepdim=True).expand_as(g.vectors))
        base, bonus = objective.advantages(g, state.counts)
        advantages = (base + bonus).reshape(-1)[batch.episode]
        log_p = batch.all_log_probs
        entropies = -(log_p.exp() * log_p.masked_fill(log_p.isinf(), 0.0)).sum(-1)
        first = batch.seed not in sampled
        entropy = sampled.setdefault(batch.seed, float(entropies.detach().mean()))
        step = StepTokens(batch.old_log_probs, advantages, batch.seed, entropy)
        fixed = None
        if reference is not None and objective.needs_reference:
            fixed = log_probs_of(reference, batch.world, batch.decisions)[1].detach()
        coefficients = dict(state.coefficients)
        tokens = TokenBatch(
            step, torch.arange(len(advantages)), batch.log_probs, entropies, fixed, coefficients=coefficients
        )
        found = objective.token_loss(tokens)[0]
        if first:  # once per step, after bonus and terms have read the state of earlier steps
            if objective.bonus is not None:
                state.counts.add(g, objective.bonus.key)
            for term in objective.terms:
                state.coefficients = term.next_coefficients(state.coefficients, entropy)
        return found

    return loss
