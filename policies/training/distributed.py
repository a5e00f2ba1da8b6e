"""More than one process: questions are dealt out to be played, episodes are shared, gradients are summed.

Every process sees all episodes of a step, so group statistics, token counts and outcome counts are those of one
process; playing and differentiating, the halves that cost time, are divided. A group is played whole by one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ..language.batches import MicroBatch

__all__ = ["ONE_PROCESS", "OneProcess", "Processes", "TorchProcesses", "clip_gradients", "join_processes", "share"]

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

    def even(self, batches: Iterable[MicroBatch], device: torch.device) -> Iterable[MicroBatch]:
        """This process's micro-batches; with some that have no rows where all must do equally many."""
        ...


class OneProcess:
    """The usual case."""

    rank, count = 0, 1

    def gather(self, value: T) -> list[T]:
        """Its own value."""
        return [value]

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Nothing to add."""

    def even(self, batches: Iterable[MicroBatch], device: torch.device) -> Iterable[MicroBatch]:
        """As they are."""
        return batches


ONE_PROCESS = OneProcess()


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

    def even(self, batches: Iterable[MicroBatch], device: torch.device) -> Iterable[MicroBatch]:
        """As they are: processes meet after the last one."""
        return batches


def join_processes() -> Processes:
    """The processes that `accelerate launch` or `torchrun` started; one where there are no others.

    Without a GPU they meet over gloo, which `accelerate` does only when told so.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ONE_PROCESS
    from accelerate import PartialState  # type: ignore[import-untyped]

    state = PartialState(cpu=not torch.cuda.is_available())
    return TorchProcesses() if state.num_processes > 1 else ONE_PROCESS


def clip_gradients(parameters: Iterable[Tensor], most: float) -> float:
    """Scales all gradients down to a norm of `most`; returns the norm they had, over all shards where there are any."""
    norm: Any = torch.nn.utils.clip_grad_norm_(parameters, most)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)


def share(items: Sequence[T], processes: Processes) -> list[T]:
    """This process's share: every `count`-th item, so that rows sorted by length are dealt evenly."""
    return list(items[processes.rank :: processes.count])
