"""A complete supervised fit: updates over rows, validation, early stop at the best weights, rejection sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ...envs.episode import Episode
from ...retrieval_index.errors import BerrypickError
from ..language.batches import TokenRows, log_probs_of, micro_batches
from ..language.episode_rows import within_window
from ..language.model import LanguageModelPolicy
from .distributed import ONE_PROCESS, Processes
from .sft import SftConfig, sft_batch, sft_optimizer, sft_update

__all__ = ["EarlyStop", "SftFit", "SftStep", "accepted_episodes", "fit_sft", "sft_steps", "validation_loss"]


@dataclass
class EarlyStop:
    """Validation losses, and whether to stop because the last `patience` of them did not improve.

    Attributes:
        patience: stop after that many checks without a lower loss; 0 never stops.
        checks: (update, nats per token) pairs.
    """

    patience: int
    checks: list[tuple[int, float]] = field(default_factory=list)

    def check(self, step: int, loss: float) -> bool:
        """Adds a check; returns whether its loss is the lowest so far."""
        self.checks.append((step, loss))
        return self.best_step == step

    @property
    def best_step(self) -> int:
        """The update with the lowest loss, the first one if several tie; 0 before any check."""
        return min(self.checks, key=lambda check: check[1])[0] if self.checks else 0

    @property
    def over(self) -> bool:
        """Whether to stop."""
        since = [step for step, _ in self.checks if step > self.best_step]
        return 0 < self.patience <= len(since)


@dataclass(frozen=True)
class SftStep:
    """One update of `sft_steps`.

    Attributes:
        number: of the update, from 1.
        metrics: of the update, with "sft/validation_loss" if it was followed by a check.
        checked: whether it was followed by a check.
        best: whether that check had the lowest loss so far.
    """

    number: int
    metrics: dict[str, float]
    checked: bool = False
    best: bool = False


def sft_steps(
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    rows: TokenRows,
    config: SftConfig,
    stop: EarlyStop,
    *,
    first: int = 0,
    validate: Callable[[], float] | None = None,
    validate_every: int = 10,
    processes: Processes = ONE_PROCESS,
) -> Iterator[SftStep]:
    """Makes the updates of a fit one by one, until the last one or the early stop.

    Args:
        policy: trained in place.
        optimizer: over the policy's weights.
        rows: demonstrations inside the policy's window.
        config: `steps` is the most updates.
        stop: gets the validation losses and decides when to end.
        first: updates already made, if a run is resumed.
        validate: returns the validation loss; None does not validate.
        validate_every: updates between checks; the last update is always checked.
        processes: each takes a share of every batch.
    """
    for step in range(first, config.steps):
        if stop.over:
            break
        metrics = sft_update(policy, optimizer, sft_batch(rows, policy, config, step), config, step, processes)
        number = step + 1
        if validate is None or (number % validate_every and number < config.steps):
            yield SftStep(number, metrics)
            continue
        loss = validate()
        best = stop.check(number, loss)
        yield SftStep(number, {**metrics, "sft/validation_loss": loss}, checked=True, best=best)


@dataclass(frozen=True)
class SftFit:
    """The outcome of a fit.

    Attributes:
        losses: of each update, nats per token.
        validation: (update, nats per token) pairs; empty without validation rows.
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
    """Fits the policy in place to the rows that lie inside its window.

    Args:
        policy: trained in place.
        rows: to imitate.
        config: `steps` is the most updates.
        validation: rows whose loss decides when to stop; the policy ends with the weights of the lowest loss. None, or
            no rows, means no validation.
        validate_every: updates between checks.
        patience: stop after that many checks without a lower loss.
    """
    rows = within_window(policy, rows)
    validation = within_window(policy, TokenRows([], []) if validation is None else validation)
    validate = None
    if validation.num_policy_tokens > 0:
        unseen = validation

        def validate() -> float:
            return validation_loss(policy, unseen, config.max_tokens)

    optimizer, stop = sft_optimizer(policy, config), EarlyStop(patience)
    config = replace(config, batch_size=max(1, min(config.batch_size, len(rows.ids))))
    losses: list[float] = []
    best: dict[str, torch.Tensor] = {}
    for done in sft_steps(policy, optimizer, rows, config, stop, validate=validate, validate_every=validate_every):
        losses.append(done.metrics["sft/loss"])
        if done.best:
            best = {name: value.detach().clone() for name, value in policy.model.state_dict().items()}
    if best:
        policy.model.load_state_dict(best)
    return SftFit(tuple(losses), tuple(stop.checks), stop.best_step or len(losses))


def validation_loss(policy: LanguageModelPolicy, rows: TokenRows, max_tokens: int) -> float:
    """Mean negative log-probability of the rows' policy tokens, nats.

    Raises:
        BerrypickError: the rows have no policy token.
    """
    if not rows.num_policy_tokens:
        raise BerrypickError("validation has no policy tokens; hold out some demonstrations")
    total = 0.0
    with torch.no_grad():
        for micro in micro_batches(rows, max_tokens, policy.model.device):
            total -= float(log_probs_of(policy.model, micro)[0].sum())
    return total / rows.num_policy_tokens


def accepted_episodes(
    groups: Sequence[Sequence[Episode]],
    *,
    per_question: int = 1,
    seed: int = 0,
    accept: Callable[[Episode], bool] = lambda episode: episode.correct,
) -> list[Episode]:
    """The data of rejection-sampling fine-tuning: at most `per_question` accepted rollouts of each question.

    The limit keeps easy questions, which succeed often, from dominating the data.

    Args:
        groups: ended episodes, [question][sample].
        per_question: limit; if more are accepted, a random choice.
        seed: of the choice.
        accept: correct episodes by default.
    """
    out: list[Episode] = []
    for index, group in enumerate(groups):
        right = [episode for episode in group if accept(episode)]
        order = np.random.default_rng((seed, index)).permutation(len(right))
        out += [right[i] for i in sorted(order[:per_question])]
    return out
