"""A whole supervised fit: epochs over rows, validation, early stop at the best weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from .batches import TokenRows, micro_batches, score
from .language_model import LanguageModelPolicy
from .sft import SftConfig, sft_batch, sft_optimizer, sft_update

__all__ = ["SftFit", "fit_sft", "validation_loss"]


@dataclass(frozen=True)
class SftFit:
    """What a fit did.

    Attributes:
        losses: of each update, nats a token.
        validation: (update, nats a token) pairs; empty without validation rows.
        best_step: the update whose weights the policy has now.
    """

    losses: tuple[float, ...]
    validation: tuple[tuple[int, float], ...]
    best_step: int


def fit_sft(
    policy: LanguageModelPolicy,
    rows: TokenRows,
    config: SftConfig,
    *,
    validation: TokenRows | None = None,
    validate_every: int = 10,
    patience: int = 3,
) -> SftFit:
    """Fits in place.

    Args:
        policy: trained.
        rows: to imitate.
        config: `steps` is the most updates.
        validation: rows whose loss decides when to stop; the weights of the best check are put back at the end.
        validate_every: updates between checks.
        patience: checks without a better loss that end the fit.
    """
    optimizer = sft_optimizer(policy, config)
    losses: list[float] = []
    checks: list[tuple[int, float]] = []
    best: dict[str, torch.Tensor] = {}
    config = replace(config, batch_size=min(config.batch_size, len(rows.ids)))
    for step in range(config.steps):
        losses.append(sft_update(policy, optimizer, sft_batch(rows, policy, config, step), config, step)["sft/loss"])
        if validation is None or ((step + 1) % validate_every and step + 1 < config.steps):
            continue
        checks.append((step + 1, validation_loss(policy, validation, config.max_tokens)))
        if checks[-1][1] == min(loss for _, loss in checks):
            best = {name: value.detach().clone() for name, value in policy.model.state_dict().items()}
        elif len(checks) - 1 - min(range(len(checks)), key=lambda i: checks[i][1]) >= patience:
            break
    if best:
        policy.model.load_state_dict(best)
    best_step = min(checks, key=lambda check: check[1])[0] if checks else len(losses)
    return SftFit(tuple(losses), tuple(checks), best_step)


def validation_loss(policy: LanguageModelPolicy, rows: TokenRows, max_tokens: int) -> float:
    """Mean negative log-probability of the rows' policy tokens, nats."""
    total = 0.0
    with torch.no_grad():
        for micro in micro_batches(rows, max_tokens, policy.model.device):
            total -= float(score(policy.model, micro)[0].sum())
    return total / rows.num_policy_tokens
