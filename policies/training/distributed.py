"""Training in several processes: each plays a share of the questions and differentiates a share of the rollouts.

Every process sees all episodes of a step, so group statistics, token counts and outcome counts do not depend on the
number of processes. One process plays all rollouts of a group.
"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ..language.batches import MicroBatch

__all__ = ["ONE_PROCESS", "OneProcess", "Processes", "TorchProcesses", "clip_gradients", "join_processes", "share"]

T = TypeVar("T")


class Processes(Protocol):
    """The processes of a run."""

    @property
    def rank(self) -> int:
        """Number of this process; 0 writes logs and checkpoints."""
        ...

    @property
    def count(self) -> int:
        """Number of processes."""
        ...

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank; waits for them."""
        ...

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replaces each gradient by its sum over processes, in place."""
        ...

    def even(self, batches: Iterable[MicroBatch], device: torch.device) -> Iterable[MicroBatch]:
        """This process's micro-batches; padded with empty ones if all processes must run equally many."""
        ...


class OneProcess:
    """A run of one process, the usual case."""

    rank, count = 0, 1

    def gather(self, value: T) -> list[T]:
        """A list of the one value."""
        return [value]

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Does nothing."""

    def even(self, batches: Iterable[MicroBatch], device: torch.device) -> Iterable[MicroBatch]:
        """Returns the batches unchanged."""
        return batches


ONE_PROCESS = OneProcess()
"""A run of one process."""


class TorchProcesses:
    """Processes of an initialised `torch.distributed` group, as `accelerate launch` makes them (gloo or nccl)."""

    def __init__(self) -> None:
        self.rank = torch.distributed.get_rank()
        self.count = torch.distributed.get_world_size()

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
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
        """Returns the batches unchanged: processes only meet after the last one."""
        return batches


def join_processes() -> Processes:
    """Joins the processes that `accelerate launch` or `torchrun` started; `ONE_PROCESS` without a launcher.

    Without a GPU they communicate over gloo, which `accelerate` chooses only if asked to. A group that this makes ends
    with the process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ONE_PROCESS
    from accelerate import PartialState  # type: ignore[import-untyped]

    joined_before = torch.distributed.is_initialized()
    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes > 1 and not joined_before:
        atexit.register(_leave)
    return TorchProcesses() if state.num_processes > 1 else ONE_PROCESS


def _leave() -> None:
    """Ends the process group and its threads while the interpreter still runs.

    The threads of gloo free the tensors of the last collectives. One that asks the interpreter for that when it is
    ending takes the whole process with it: "terminate called without an active exception", status -6 of a run that was
    done. Destroying the group waits for its threads, provided that nothing else refers to the group.
    """
    gc.collect()  # what was sharded refers to the group, in cycles
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def clip_gradients(parameters: Iterable[Tensor], most: float) -> float:
    """Scales all gradients down to a total norm of `most`; returns their norm before, over all shards."""
    norm: Any = torch.nn.utils.clip_grad_norm_(parameters, most)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)


def share(items: Sequence[T], processes: Processes) -> list[T]:
    """This process's share: every `count`-th item, so that rows sorted by length are divided evenly."""
    return list(items[processes.rank :: processes.count])
