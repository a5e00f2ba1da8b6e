"""The state of an optimizer as tensors and other values, as checkpoints hold it, with or without sharded weights."""

from __future__ import annotations

from typing import Any

import torch

from .sharding import distributed_like

__all__ = ["PackedOptimizer", "pack_optimizer", "restore_optimizer"]

PackedOptimizer = tuple[dict[str, torch.Tensor], dict[str, Any]]
"""Tensors as "index.slot", and everything else."""


def pack_optimizer(optimizer: torch.optim.Optimizer) -> PackedOptimizer:
    """The optimizer's tensors by slot (shards gathered) and its other values; with shards, all processes call it."""
    packed = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": _whole(value).detach().clone().contiguous()
        for index, slots in packed["state"].items()
        for name, value in slots.items()
    }
    return tensors, {"param_groups": packed["param_groups"]}


def _whole(value: Any) -> torch.Tensor:
    whole: torch.Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return whole


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], scalars: dict[str, Any]
) -> None:
    """Loads what `pack_optimizer` gave, in place; whole tensors become shards where the parameters are sharded.

    Raises:
        ValueError, KeyError: it belongs to another optimizer.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        is_shard = hasattr(parameter, "full_tensor") and value.shape == parameter.shape
        state.setdefault(int(index), {})[name] = distributed_like(parameter, value) if is_shard else value
    optimizer.load_state_dict({"state": state, "param_groups": scalars["param_groups"]})
