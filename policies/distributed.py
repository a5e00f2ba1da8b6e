"""More than one process: questions are dealt out to be played, episodes are shared, gradients are summed.

Every process sees all episodes of a step, so group statistics, token counts and outcome counts are those of one
process; playing and differentiating, the halves that cost time, are divided. A group is played whole by one process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

__all__ = ["OneProcess", "Processes", "TorchProcesses", "join_processes", "share"]

T = TypeVar("T")


class Processes(Protocol):
    """The processes of a run, as rollouts and updates see them."""

    @property
    def rank(self) -> int:
        """This one; 0 writes logs and checkpoints."""
        ...

    @property
    def count(self) -> int:
        """All of them."""
        ...

    def gather(self, value: T) -> list[T]:
        """The value of each process, by rank; waits for all."""
        ...

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replaces each gradient by its sum over processes."""
        ...


class OneProcess:
    """The usual case."""

    rank, count = 0, 1

    def gather(self, value: T) -> list[T]:
        """Its own value."""
        return [value]

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Nothing to add."""


class TorchProcesses:
    """Processes of an initialised `torch.distributed` group, as `accelerate launch` makes them (gloo or nccl)."""

    def __init__(self) -> None:
        self.rank = torch.distributed.get_rank()
        self.count = torch.distributed.get_world_size()

    def gather(self, value: T) -> list[T]:
        """The value of each process, by rank."""
        out: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(out, value)
        return out

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """One all-reduce over all gradients, flattened."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
            gradient.copy_(part.view_as(gradient))


def join_processes() -> Processes:
    """The processes that `accelerate launch` started; one where there are no others."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return OneProcess()
    from accelerate import PartialState  # type: ignore[import-untyped]

    return TorchProcesses() if PartialState().num_processes > 1 else OneProcess()


def share(items: Sequence[T], processes: Processes) -> list[T]:
    """This process's share: every `count`-th item, so that rows sorted by length are dealt evenly."""
    return list(items[processes.rank :: processes.count])
