"""The two ends of every update: gradients of zero before the micro-batches, one checked optimizer step after them."""

from __future__ import annotations

import math

import torch
from transformers import PreTrainedModel

from ...retrieval_index.errors import BerrypickError
from .distributed import ONE_PROCESS, Processes, clip_gradients

__all__ = ["NonFiniteLossError", "clear_gradients", "take_step"]


class NonFiniteLossError(BerrypickError):
    """The loss or its gradient is no number; nothing was updated."""


def clear_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Zeros for every weight, reached or not, so that all processes have equally many gradients to sum."""
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        parameter.grad = torch.zeros_like(parameter)


def take_step(
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    loss: float,
    *,
    max_grad_norm: float,
    what: str,
    processes: Processes = ONE_PROCESS,
) -> float:
    """Sums gradients over processes, clips them and steps.

    Args:
        model: its weights hold the gradients.
        optimizer: over its weights.
        loss: of all processes, which is checked with the gradient's norm.
        max_grad_norm: the norm that larger gradients are scaled to.
        what: the update, as an error calls it.
        processes: each comes here with its share of the gradient.

    Returns:
        The gradient's norm before it was clipped.

    Raises:
        NonFiniteLossError: weights and optimizer are as they were.
    """
    processes.sum_gradients(list(model.parameters()))
    norm = clip_gradients(model.parameters(), max_grad_norm)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise NonFiniteLossError(
            f"{what}: loss {loss}, gradient norm {norm}; the last checkpoint is good: start from it with a lower "
            "learning rate, in another --out"
        )
    optimizer.step()
    return norm
