"""One update of the GRPO family: rollouts, advantages, clipped token loss, terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ...envs.episode import Episode
from ..language.batches import micro_batches, score, twins
from ..language.model import LanguageModelPolicy
from ..objectives.bonuses import OutcomeCounts
from ..objectives.groups import groups_of
from ..objectives.losses import StepTokens, TokenBatch
from ..objectives.objective import Objective
from .distributed import ONE_PROCESS, Processes, share
from .step_rows import StepRows, step_rows
from .update_step import clear_gradients, take_step

if TYPE_CHECKING:
    from .rl import RlConfig

__all__ = ["RlState", "rl_update"]


@dataclass
class RlState:
    """What an objective remembers from step to step; part of every checkpoint.

    Attributes:
        counts: outcomes seen so far.
        coefficients: of adaptive terms.
    """

    counts: OutcomeCounts = field(default_factory=OutcomeCounts)
    coefficients: dict[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"counts": self.counts.state_dict(), "coefficients": dict(self.coefficients)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state_dict` returned."""
        self.counts.load_state_dict(state["counts"])
        self.coefficients = dict(state["coefficients"])


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
    """One step's updates in place; returns its metrics, of its last update where they are one's.

    Retrieved text is masked, dropout is off. Rollouts that have no gradient are not computed: the loss and the clip
    fraction are means over all policy tokens, the divergence from the sampler over those that were computed.

    Args:
        policy: trained in place.
        optimizer: over its weights.
        groups: ended episodes with exact tokens, [question][sample].
        objective: rewards to token losses.
        config: of the run.
        step: from 0; seeds what draws.
        state: read, then updated.
        reference: the policy that KL terms hold on to.
        processes: each was given all groups; the rollouts are divided among them.

    Raises:
        NonFiniteLossError: weights and optimizer are as they were before the update that failed, `state` as it was.
    """
    state = state or RlState()
    rewards = groups_of(groups, config.step_seed(step))
    advantages = objective.advantages(rewards, state.counts)
    flat = [episode for group in groups for episode in group]
    rows = step_rows(policy, flat, advantages, objective, reference, config.max_tokens)
    metrics: dict[str, float] = {}
    sampled = [tokens.entropies for episode in flat for _, tokens in episode.token_turns]
    entropy = float(np.mean(np.concatenate(sampled, dtype=np.float64)))
    written = [row for row, tokens in enumerate(rows.old) if len(tokens)]
    for chosen in _mini_batches(written, config, step):
        metrics = _update(policy, optimizer, rows, chosen, entropy, objective, config, step, state, processes)
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
        **{f"rl/coefficient/{name}": value for name, value in state.coefficients.items()},
    }


def _mini_batches(rows: Sequence[int], config: RlConfig, step: int) -> Iterator[list[int]]:
    for epoch in range(config.epochs):
        order = np.asarray(rows)
        if config.mini_batches > 1:
            order = np.random.default_rng((config.seed, 7, step, epoch)).permutation(order)
        for part in np.array_split(order, min(config.mini_batches, len(order))):
            yield sorted(part.tolist())


def _update(
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    rows: StepRows,
    chosen: list[int],
    entropy: float,
    objective: Objective,
    config: RlConfig,
    step: int,
    state: RlState,
    processes: Processes,
) -> dict[str, float]:
    """One optimizer update over some rollouts, all of which wrote tokens."""
    counts = [len(rows.old[row]) for row in chosen]
    starts = dict(zip(chosen, np.cumsum([0, *counts]).tolist()))
    tokens = StepTokens(
        torch.cat([rows.old[row] for row in chosen]),
        torch.cat([rows.advantages[row] for row in chosen]),
        config.step_seed(step),
        entropy,
    )
    total, sequences = sum(counts), len(counts)
    # A rollout whose advantages are all 0 has no gradient; it counts in the mean all the same.
    live = [row for row in chosen if objective.terms or bool(rows.advantages[row].any())]
    live = sorted(live, key=lambda row: (-len(rows.data.ids[row]), row))
    alike = share(twins(rows.data, live), processes)
    data = rows.data.select([same[0] for same in alike])
    sums = dict.fromkeys(("loss", "clipped", "kl", "tokens"), 0.0)
    clear_gradients(optimizer)
    device = policy.model.device
    for micro in processes.even(micro_batches(data, config.max_tokens, device), device):
        if not micro.rows:
            score(policy.model, micro)[0].sum().backward()
            continue
        at = [row for place in micro.rows for row in alike[place]]
        scored = score(policy.model, micro, entropy_gradient=objective.needs_entropy_gradient)
        log_probs, entropies = (_for_each(values, micro.policy.sum(1), micro.rows, alike) for values in scored)
        batch = _token_batch(rows, tokens, at, starts, log_probs, entropies, state)
        loss, held = objective.token_loss(batch)
        if config.loss_mean == "token":
            mean = loss.sum() / total
        else:
            lengths = torch.tensor([len(rows.old[row]) for row in at], device=loss.device)
            mean = (loss / torch.repeat_interleave(lengths, lengths)).sum() / sequences
        mean.backward()
        _sum(sums, batch, mean, held)
    parts = processes.gather(sums)
    sums = {name: sum(part[name] for part in parts) for name in sums}
    norm = take_step(
        policy.model,
        optimizer,
        sums["loss"],
        max_grad_norm=config.max_grad_norm,
        what=f"RL step {step + 1}",
        processes=processes,
    )
    return {
        "rl/loss": sums["loss"],
        "rl/clip_fraction": sums["clipped"] / total,
        "rl/kl_to_sampler_nats": sums["kl"] / max(1.0, sums["tokens"]),
        "rl/grad_norm": norm,
    }


def _for_each(values: Tensor, counts: Tensor, places: Sequence[int], alike: Sequence[Sequence[int]]) -> Tensor:
    """Token values of the rows that were computed, [N], to those of all rows that are the same."""
    parts = values.split(counts.tolist())
    return torch.cat([part for place, part in zip(places, parts) for _ in alike[place]])


def _token_batch(
    rows: StepRows,
    tokens: StepTokens,
    at: Sequence[int],
    starts: Mapping[int, int],
    log_probs: Tensor,
    entropies: Tensor,
    state: RlState,
) -> TokenBatch:
    index = torch.cat([torch.arange(starts[row], starts[row] + len(rows.old[row])) for row in at])
    reference = None if rows.reference is None else torch.cat([rows.reference[row] for row in at]).to(log_probs)
    return TokenBatch(tokens, index, log_probs, entropies, reference, None, state.coefficients)


def _sum(sums: dict[str, float], batch: TokenBatch, mean: Tensor, held: Tensor) -> None:
    difference = (batch.old_log_probs - batch.log_probs).detach()
    sums["loss"] += float(mean.detach())
    sums["clipped"] += float(held.sum())
    sums["kl"] += float((difference.neg().exp() - 1 + difference).sum())
    sums["tokens"] += len(difference)
