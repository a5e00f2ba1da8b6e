"""What begins and ends every update: zero gradients before the micro-batches, one checked optimizer step after them."""

from __future__ import annotations

import math

import torch
from transformers import PreTrainedModel

from ...retrieval_index.errors import BerrypickError
from ..language.precision import computed_in
from .distributed import ONE_PROCESS, Processes, clip_gradients

__all__ = ["NonFiniteLossError", "clear_gradients", "take_step"]


class NonFiniteLossError(BerrypickError):
    """The loss or its gradient is infinite or NaN; nothing was updated."""


def clear_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Sets every gradient to zeros (not None), so that all processes have the same gradients to sum."""
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
        model: its parameters have the gradients.
        optimizer: over the model's parameters.
        loss: the loss of all processes; must be finite.
        max_grad_norm: larger gradients are scaled down to this norm.
        what: names the update in errors.
        processes: each has its share of the gradient.

    Returns:
        The norm of the gradient before clipping.

    Raises:
        NonFiniteLossError: weights and optimizer are unchanged.
    """
    processes.sum_gradients(list(model.parameters()))
    norm = clip_gradients(model.parameters(), max_grad_norm)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        rounded = computed_in(model) == torch.bfloat16
        raise NonFiniteLossError(
            f"{what}: loss {loss}, gradient norm {norm}; start from the last checkpoint, which is intact, with a lower "
            f"learning rate{' or --dtype float32' if rounded else ''} in another --out"
        )
    optimizer.step()
    return norm
