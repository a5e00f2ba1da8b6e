"""Fully sharded training (FSDP2): weights, gradients and optimizer are split over processes, layer by layer.

Rollouts do not run on shards: every forward waits for all processes, but episodes end at different times. So each
process plays its share with a complete copy of the weights, synchronised before each step's rollouts. Checkpoints store
this copy, so they do not depend on the number of processes.
"""

from __future__ import annotations

import atexit
import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError
from ..language.batches import MicroBatch
from ..language.model import LanguageModelPolicy
from .distributed import TorchProcesses
from .players import OwnWeights

__all__ = ["ShardedProcesses", "WholeCopy", "distributed_like", "shard"]


class ShardedProcesses(TorchProcesses):
    """Processes with a shard of each gradient; the backward pass itself sums over processes."""

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Does nothing: the backward pass has summed them."""

    def even(self, batches: Iterable[MicroBatch], device: torch.device) -> list[MicroBatch]:
        """Adds empty micro-batches until all processes have equally many; otherwise some would wait forever."""
        own = list(batches)
        empty = MicroBatch(
            (), torch.zeros((1, 2), dtype=torch.int64, device=device), torch.zeros((1, 1), dtype=torch.bool).to(device)
        )
        return own + [empty] * (max(self.gather(len(own))) - len(own))


@dataclass(frozen=True)
class WholeCopy(OwnWeights):
    """A player with a complete copy of the sharded weights."""

    sharded: LanguageModelPolicy = field(kw_only=True)

    @torch.no_grad()
    def sync(self) -> None:
        """Gathers the shards into the copy, one parameter at a time."""
        for whole, sharded in self._pairs():
            whole.copy_(sharded.full_tensor())

    @torch.no_grad()
    def load(self) -> None:
        """Splits the copy into the shards."""
        for whole, sharded in self._pairs():
            sharded.copy_(distributed_like(sharded, whole))

    def _pairs(self) -> Iterable[tuple[Tensor, Any]]:
        names = dict(self.weights.model.named_parameters())
        return ((names[name], parameter) for name, parameter in self.sharded.model.named_parameters())


def shard(policy: LanguageModelPolicy) -> WholeCopy:
    """Shards a copy of the policy's model over the default process group; the policy's own model stays complete.

    Raises:
        BerrypickError: torch is too old, or the model has LoRA.
    """
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard
    except ImportError as error:
        raise BerrypickError(f"--fsdp needs torch 2.9 or later ({error}); upgrade it, or drop --fsdp") from error
    if policy.has_lora:
        raise BerrypickError("--fsdp and --lora-rank do not work together; drop one of them")
    model: Any = copy.deepcopy(policy.model)
    units = set(model._no_split_modules or ())
    mesh = init_device_mesh(model.device.type, (torch.distributed.get_world_size(),))
    atexit.register(_forget_groups, mesh)
    for module in model.modules():
        if type(module).__name__ in units:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for module in model.modules():
        if isinstance(
            module, FSDPModule
        ):  # losses are already divided by the update's tokens, so gradients must be summed
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    sharded = LanguageModelPolicy(model, policy.tokenizer, policy.policy_id)
    return WholeCopy(policy, sharded=sharded)


def _forget_groups(mesh: Any) -> None:
    """Takes the process groups from a mesh: torch's caches keep it for ever, and a group that is kept cannot end."""
    getattr(mesh, "_pg_registry", {}).clear()  # torch 2.9 has none: its meshes know groups by name


def distributed_like(parameter: Any, value: Tensor) -> Tensor:
    """Shards a complete tensor like `parameter`."""
    from torch.distributed.tensor import distribute_tensor

    out: Tensor = distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return out
