"""One update of the GRPO family: advantages of the rollouts, clipped token loss, terms, optimizer step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ...envs.episode import Episode
from ..language.batches import MicroBatch, identical_rows, log_probs_of, micro_batches
from ..language.model import LanguageModelPolicy
from ..objectives.groups import groups_of
from ..objectives.losses import StepTokens, TokenBatch
from ..objectives.objective import Objective, RlState, warn_if_idle
from ..out_of_memory import memory_of_update
from .distributed import ONE_PROCESS, Processes, share
from .rl_config import RlConfig
from .step_rows import StepRows, step_rows
from .update_step import clear_gradients, take_step

__all__ = ["RlState", "rl_update"]


def rl_update(
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    groups: Sequence[Sequence[Episode]],
    objective: Objective,
    config: RlConfig,
    *,
    step: int = 0,
    state: RlState | None = None,
    reference: PreTrainedModel | None = None,
    processes: Processes = ONE_PROCESS,
) -> dict[str, float]:
    """Makes the updates of one step in place.

    Retrieved text is masked; dropout is off. Rollouts without a gradient are not computed. The loss and the clip
    fraction are still means over all policy tokens; the divergence from the sampler is a mean over the computed ones.

    Args:
        policy: trained in place.
        optimizer: over the policy's weights.
        groups: ended episodes with exact tokens, [question][sample].
        objective: turns rewards into token losses.
        config: the configuration of the run.
        step: number of the step, from 0; seeds random draws.
        state: read first, then updated with the outcomes of this step.
        reference: the reference model of KL terms.
        processes: each process is given all groups and differentiates a share of the rollouts.

    Returns:
        Metrics of the step; those of a single update (loss, gradient norm, ...) are the last update's.

    Raises:
        NonFiniteLossError: `state` is unchanged, weights and optimizer are as before the update that failed.
    """
    if step == 0 and processes.rank == 0:
        warn_if_idle(objective, config.epochs * config.mini_batches)
    state = state or RlState()
    rewards = groups_of(groups, config.step_seed(step))
    advantages = objective.advantages(rewards, state.counts)
    flat = [episode for group in groups for episode in group]
    rows = step_rows(policy, flat, advantages, objective, reference, config.max_tokens)
    metrics: dict[str, float] = {}
    sampled = [tokens.entropies for episode in flat for _, tokens in episode.token_turns]
    entropy = float(np.mean(np.concatenate(sampled, dtype=np.float64)))
    written = [row for row, tokens in enumerate(rows.old) if len(tokens)]
    shared = _Step(rows, objective, config, step, entropy, state.coefficients)
    for chosen in _mini_batches(written, config, step):
        metrics = _update(policy, optimizer, shared, chosen, processes)
    if objective.bonus is not None:
        state.counts.add(rewards, objective.bonus.key)
    for term in objective.terms:
        state.coefficients = term.next_coefficients(state.coefficients, entropy)
    silent = (advantages.base + advantages.bonus == 0).all(dim=1)
    return {
        **metrics,
        "rl/token_entropy_nats": entropy,
        "rl/policy_tokens": float(rows.data.num_policy_tokens),
        "rl/zero_variance_groups": float(silent.sum()),
        "rl/zero_variance_share": float(silent.double().mean()),
        **{f"rl/coefficient/{name}": value for name, value in state.coefficients.items()},
    }


@dataclass(frozen=True)
class _Step:
    """What all updates of one step share.

    Attributes:
        number: of the step, from 0.
        entropy: mean token entropy of the step's rollouts, nats.
        coefficients: of adaptive terms, by name.
    """

    rows: StepRows
    objective: Objective
    config: RlConfig
    number: int
    entropy: float
    coefficients: Mapping[str, float]


def _mini_batches(rows: Sequence[int], config: RlConfig, step: int) -> Iterator[list[int]]:
    """The rollouts of each update: `mini_batches` random parts per epoch, or all rollouts at once."""
    for epoch in range(config.epochs):
        order = np.asarray(rows)
        if config.mini_batches > 1:
            order = np.random.default_rng((config.seed, 7, step, epoch)).permutation(order)
        for part in np.array_split(order, min(config.mini_batches, len(order))):
            yield sorted(part.tolist())


def _update(
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    step: _Step,
    chosen: list[int],
    processes: Processes,
) -> dict[str, float]:
    """One optimizer update over some rollouts, each of which has at least one policy token.

    M counts the policy tokens of the update, N those of a micro-batch. Every loss is divided by M (or by the number of
    rollouts) before it is differentiated, so the gradients that micro-batches and processes add up are those of the
    mean over the whole update, however it was cut.
    """
    rows, config, device = step.rows, step.config, policy.model.device
    counts = [len(rows.old[row]) for row in chosen]
    total = sum(counts)
    starts = dict(zip(chosen, np.cumsum([0, *counts]).tolist()))  # where a rollout's tokens begin among the M
    tokens = StepTokens(
        torch.cat([rows.old[row] for row in chosen]),
        torch.cat([rows.advantages[row] for row in chosen]),
        config.step_seed(step.number),
        step.entropy,
    )
    # Without terms, a rollout whose advantages are all 0 has no gradient and is skipped. It still counts in the mean.
    live = [row for row in chosen if step.objective.terms or bool(rows.advantages[row].any())]
    live = sorted(live, key=lambda row: (-len(rows.data.ids[row]), row))  # longest first: shares of equal work
    identical = share(identical_rows(rows.data, live), processes)
    computed = rows.data.select([group[0] for group in identical])
    sums = dict.fromkeys(("loss", "clipped", "kl", "tokens"), 0.0)
    what = f"RL step {step.number + 1}"
    clear_gradients(optimizer)
    with memory_of_update(what, config.max_tokens):
        for micro in processes.even(micro_batches(computed, config.max_tokens, device), device):
            if not micro.rows:  # sharded weights: every process must take part in every forward and backward
                log_probs_of(policy.model, micro)[0].sum().backward()
                continue
            at = [row for place in micro.rows for row in identical[place]]
            batch = _token_batch(policy.model, micro, step, tokens, identical, at, starts)
            loss, clipped = step.objective.token_loss(batch)
            mean = _mean(loss, [len(rows.old[row]) for row in at], total, len(counts), config.loss_mean)
            mean.backward()
            _add(sums, batch, mean, clipped)
    parts = processes.gather(sums)
    sums = {name: sum(part[name] for part in parts) for name in sums}
    norm = take_step(
        policy.model, optimizer, sums["loss"], max_grad_norm=config.max_grad_norm, what=what, processes=processes
    )
    return {
        "rl/loss": sums["loss"],
        "rl/clip_fraction": sums["clipped"] / total,
        "rl/kl_to_sampler_nats": sums["kl"] / max(1.0, sums["tokens"]),
        "rl/grad_norm": norm,
    }


def _token_batch(
    model: PreTrainedModel,
    micro: MicroBatch,
    step: _Step,
    tokens: StepTokens,
    identical: Sequence[Sequence[int]],
    at: Sequence[int],
    starts: Mapping[int, int],
) -> TokenBatch:
    """The forward of a micro-batch, with its values repeated for identical rollouts.

    Args:
        model: the policy's.
        micro: one row per group of identical rollouts.
        step: the step.
        tokens: all tokens of the update, [M].
        identical: groups of identical rollouts; `micro.rows` indexes them.
        at: the rollouts of the micro-batch, in the order of their tokens.
        starts: where each rollout's tokens begin among the M.
    """
    values = log_probs_of(model, micro, entropy_gradient=step.objective.needs_entropy_gradient)
    counts = micro.policy.sum(1)
    # Identical rollouts share one forward but differ in their advantages, so each needs its own copy in the loss.
    log_probs, entropies = (_repeated(part, counts, micro.rows, identical) for part in values)
    old, reference = step.rows.old, step.rows.reference
    index = torch.cat([torch.arange(starts[row], starts[row] + len(old[row])) for row in at])
    fixed = None if reference is None else torch.cat([reference[row] for row in at]).to(log_probs)
    return TokenBatch(tokens, index, log_probs, entropies, fixed, None, step.coefficients)


def _repeated(values: Tensor, counts: Tensor, places: Sequence[int], identical: Sequence[Sequence[int]]) -> Tensor:
    """Token values of the computed rows, one after another, repeated for all rollouts of each group, [N]."""
    parts = values.split(counts.tolist())
    return torch.cat([part for place, part in zip(places, parts) for _ in identical[place]])


def _mean(loss: Tensor, lengths: Sequence[int], num_tokens: int, num_rollouts: int, over: str) -> Tensor:
    """The micro-batch's share of the update's mean loss.

    Args:
        loss: [N], the tokens of one rollout after another.
        lengths: tokens of each of these rollouts.
        num_tokens: of the update.
        num_rollouts: of the update.
        over: "token" or "sequence", see `RlConfig.loss_mean`.
    """
    if over == "token":
        return loss.sum() / num_tokens
    counts = torch.tensor(lengths, device=loss.device)
    return (loss / torch.repeat_interleave(counts, counts)).sum() / num_rollouts


def _add(sums: dict[str, float], batch: TokenBatch, mean: Tensor, clipped: Tensor) -> None:
    """Adds a micro-batch to the update's sums; "kl" sums the k3 estimate of KL(sampler || policy) over tokens."""
    difference = (batch.old_log_probs - batch.log_probs).detach()
    sums["loss"] += float(mean.detach())
    sums["clipped"] += float(clipped.sum())
    sums["kl"] += float((difference.neg().exp() - 1 + difference).sum())
    sums["tokens"] += len(difference)
