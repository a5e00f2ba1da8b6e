"""Supervised fine-tuning: mean cross-entropy over the tokens that the demonstrator wrote."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ...retrieval_index.errors import BerrypickError
from ..language.batches import TokenRows, log_probs_of, micro_batches, used_length
from ..language.model import LanguageModelPolicy
from ..language.precision import trainable
from ..language.tiny import copying_rows
from ..out_of_memory import memory_of_update
from .distributed import ONE_PROCESS, Processes, share
from .packing import packed_micro_batches
from .update_step import clear_gradients, take_step

__all__ = ["SftConfig", "sft_batch", "sft_optimizer", "sft_update"]


@dataclass(frozen=True)
class SftConfig:
    """Supervised fine-tuning.

    Attributes:
        steps: updates.
        batch_size: demonstrations per update.
        learning_rate: peak; linear warm-up over a tenth of the updates, then a cosine down to a hundredth of the peak.
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to this norm.
        copying_steps: in that many first updates, half of each batch is random names repeated once, with the loss on
            the repetition. It teaches untrained models to copy.
        max_tokens: padded tokens of a micro-batch.
        packing: put several demonstrations into one row, see `packing.py`.
        seed: seeds the order of the demonstrations.

    Raises:
        BerrypickError: a number is out of range.
    """

    steps: int = 520
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    copying_steps: int = 0
    max_tokens: int = 4096
    packing: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_tokens"):
            if getattr(self, name) < 1:
                raise BerrypickError(f"SFT: {name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.learning_rate < math.inf:
            raise BerrypickError(f"SFT: learning_rate must be at least 0, got {self.learning_rate}")


def sft_optimizer(policy: LanguageModelPolicy, config: SftConfig) -> torch.optim.Optimizer:
    """AdamW over all trainable weights."""
    return torch.optim.AdamW(
        trainable(policy.model),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(0.9, 0.98),
    )


def sft_batch(demonstrations: TokenRows, policy: LanguageModelPolicy, config: SftConfig, step: int) -> TokenRows:
    """The batch of one step; it depends only on (seed, step). An epoch is a seeded permutation of the demonstrations.

    Copying rows replace the last demonstrations of a batch, which this epoch then skips.
    """
    total = len(demonstrations.ids)
    if not total:
        raise BerrypickError("there are no demonstrations to imitate; choose a split with questions")
    copying = config.batch_size // 2 if step < config.copying_steps else 0
    wanted = config.batch_size - copying
    picks: list[int] = []
    first, last = step * config.batch_size, step * config.batch_size + wanted
    for epoch in range(first // total, (last - 1) // total + 1):
        order = np.random.default_rng((config.seed, 1, epoch)).permutation(total)
        picks += order[max(0, first - epoch * total) : last - epoch * total].tolist()
    ids = [demonstrations.ids[i] for i in picks]
    masks = [demonstrations.masks[i] for i in picks]
    if copying:
        extra = copying_rows(policy.tokenizer, copying, np.random.default_rng((config.seed, 2, step)))
        ids += [row for row, _ in extra]
        masks += [mask for _, mask in extra]
    return TokenRows(ids, masks)


def sft_update(
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    batch: TokenRows,
    config: SftConfig,
    step: int,
    processes: Processes = ONE_PROCESS,
) -> dict[str, float]:
    """One update in place, without dropout; returns its metrics. Each process is given the batch and takes a share.

    Raises:
        BerrypickError: the batch has no policy token, or a row exceeds the policy's window.
        NonFiniteLossError: weights and optimizer are unchanged.
    """
    rate = config.learning_rate * _schedule(step, config.steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    total, loss_sum, entropy_sum = batch.num_policy_tokens, 0.0, 0.0  # total over all processes
    if not total:
        raise BerrypickError(f"SFT step {step + 1}: the batch has no policy token; check the demonstrations")
    longest = max(map(used_length, batch.masks))
    if longest > policy.window:
        raise BerrypickError(
            f"SFT step {step + 1}: a row of {longest} tokens exceeds the window of {policy.window} of "
            f"{policy.policy_id}; drop such rows with within_window"
        )
    clear_gradients(optimizer)
    own = share(sorted(range(len(batch.ids)), key=lambda row: (-len(batch.ids[row]), row)), processes)
    device = policy.model.device
    cut = packed_micro_batches if config.packing else micro_batches
    with memory_of_update(f"SFT step {step + 1}", config.max_tokens):
        for micro in processes.even(cut(batch.select(own), config.max_tokens, device), device):
            log_probs, entropies = log_probs_of(policy.model, micro)
            loss = -log_probs.sum() / total
            loss.backward()
            loss_sum += float(loss.detach())
            entropy_sum += float(entropies.sum())
    sums = processes.gather((loss_sum, entropy_sum))
    loss_sum, entropy_sum = sum(loss for loss, _ in sums), sum(entropy for _, entropy in sums)
    norm = take_step(
        policy.model,
        optimizer,
        loss_sum,
        max_grad_norm=config.max_grad_norm,
        what=f"SFT step {step + 1}",
        processes=processes,
    )
    return {
        "sft/loss": loss_sum,
        "sft/entropy_nats": entropy_sum / total,
        "sft/grad_norm": norm,
        "sft/learning_rate": rate,
    }


def _schedule(step: int, steps: int) -> float:
    """Factor of the peak learning rate."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
