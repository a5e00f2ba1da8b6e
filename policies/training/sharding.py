"""Fully sharded training (FSDP2): weights, gradients and optimizer are divided among processes, layer by layer.

Rollouts cannot run on shards, for every forward waits for all processes and episodes end at different times: each
process plays its share with a whole copy of the weights, which is brought up to date before each step's rollouts and
is what checkpoints hold. A checkpoint therefore knows nothing of how many processes wrote it.
"""

from __future__ import annotations

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
    """Processes that hold a shard of each gradient: the backward pass itself sums over them."""

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Nothing left to add."""

    def even(self, batches: Iterable[MicroBatch], device: torch.device) -> list[MicroBatch]:
        """As many micro-batches in every process: one that has fewer adds some without rows, or the others wait."""
        mine = list(batches)
        empty = MicroBatch(
            (), torch.zeros((1, 2), dtype=torch.int64, device=device), torch.zeros((1, 1), dtype=torch.bool).to(device)
        )
        return mine + [empty] * (max(self.gather(len(mine))) - len(mine))


@dataclass(frozen=True)
class WholeCopy(OwnWeights):
    """A player whose weights are a whole copy of the sharded ones."""

    sharded: LanguageModelPolicy = field(kw_only=True)

    @torch.no_grad()
    def refresh(self) -> None:
        """Gathers the shards, one parameter at a time."""
        for mine, theirs in self._pairs():
            mine.copy_(theirs.full_tensor())

    @torch.no_grad()
    def adopt(self) -> None:
        """Deals the whole copy out again."""
        for mine, theirs in self._pairs():
            theirs.copy_(distributed_like(theirs, mine))

    def _pairs(self) -> Iterable[tuple[Tensor, Any]]:
        names = dict(self.weights.model.named_parameters())
        return ((names[name], parameter) for name, parameter in self.sharded.model.named_parameters())


def shard(policy: LanguageModelPolicy) -> WholeCopy:
    """Shards a policy over the default process group; its own model stays whole, a copy of it is sharded.

    Raises:
        BerrypickError: torch is too old, or the model holds LoRA matrices.
    """
    try:
        from torch.distributed.fsdp import FSDPModule, fully_shard
    except ImportError as error:
        raise BerrypickError(f"--fsdp needs torch 2.9 or later ({error}); upgrade it, or leave --fsdp out") from error
    if hasattr(policy.model, "merge_and_unload"):
        raise BerrypickError("--fsdp shards whole models and --lora-rank trains small parts of one; leave one out")
    model: Any = copy.deepcopy(policy.model)
    units = set(model._no_split_modules or ())
    for module in model.modules():
        if type(module).__name__ in units:
            fully_shard(module)
    fully_shard(model)
    for module in model.modules():
        if isinstance(module, FSDPModule):  # losses are divided by the step's tokens already: gradients are summed
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    sharded = LanguageModelPolicy(model, policy.tokenizer, policy.policy_id)
    return WholeCopy(policy, sharded=sharded)


def distributed_like(parameter: Any, value: Tensor) -> Tensor:
    """A whole tensor as `parameter` is sharded."""
    from torch.distributed.tensor import distribute_tensor

    out: Tensor = distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return out
