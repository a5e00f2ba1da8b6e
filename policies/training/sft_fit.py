"""A whole supervised fit: epochs over rows, validation, early stop at the best weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from ...retrieval_index.errors import BerrypickError
from ..language.batches import TokenRows, micro_batches, score
from ..language.episode_rows import within_window
from ..language.model import LanguageModelPolicy
from .sft import SftConfig, sft_batch, sft_optimizer, sft_update

__all__ = ["EarlyStop", "SftFit", "fit_sft", "validation_loss"]


@dataclass
class EarlyStop:
    """Validation losses, and whether the last `patience` of them brought nothing.

    Attributes:
        patience: checks without a better loss that end a fit; 0 never ends it.
        checks: (update, nats a token) pairs.
    """

    patience: int
    checks: list[tuple[int, float]] = field(default_factory=list)

    def check(self, step: int, loss: float) -> bool:
        """Adds a check; returns whether it is the best so far."""
        self.checks.append((step, loss))
        return self.best_step == step

    @property
    def best_step(self) -> int:
        """The update of the lowest loss, the first of several; 0 before any check."""
        return min(self.checks, key=lambda check: check[1])[0] if self.checks else 0

    @property
    def over(self) -> bool:
        """Whether to stop."""
        since = [step for step, _ in self.checks if step > self.best_step]
        return 0 < self.patience <= len(since)


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
    """Fits in place, to the rows within the policy's window.

    Args:
        policy: trained.
        rows: to imitate.
        config: `steps` is the most updates.
        validation: rows whose loss decides when to stop; the weights of the best check are put back at the end. None of
            them is no validation.
        validate_every: updates between checks.
        patience: checks without a better loss that end the fit.
    """
    rows = within_window(policy, rows)
    held = within_window(policy, TokenRows([], []) if validation is None else validation)
    validates = held.num_policy_tokens > 0
    optimizer = sft_optimizer(policy, config)
    losses: list[float] = []
    stop = EarlyStop(patience)
    best: dict[str, torch.Tensor] = {}
    config = replace(config, batch_size=max(1, min(config.batch_size, len(rows.ids))))
    for step in range(config.steps):
        losses.append(sft_update(policy, optimizer, sft_batch(rows, policy, config, step), config, step)["sft/loss"])
        if not validates or ((step + 1) % validate_every and step + 1 < config.steps):
            continue
        if stop.check(step + 1, validation_loss(policy, held, config.max_tokens)):
            best = {name: value.detach().clone() for name, value in policy.model.state_dict().items()}
        elif stop.over:
            break
    if best:
        policy.model.load_state_dict(best)
    return SftFit(tuple(losses), tuple(stop.checks), stop.best_step or len(losses))


def validation_loss(policy: LanguageModelPolicy, rows: TokenRows, max_tokens: int) -> float:
    """Mean negative log-probability of the rows' policy tokens, nats.

    Raises:
        BerrypickError: there is no such token.
    """
    if not rows.num_policy_tokens:
        raise BerrypickError("nothing to validate on: the rows hold no token of a policy; hold some demonstrations out")
    total = 0.0
    with torch.no_grad():
        for micro in micro_batches(rows, max_tokens, policy.model.device):
            total -= float(score(policy.model, micro)[0].sum())
    return total / rows.num_policy_tokens
