"""The training of a cell of the tabular policy: its World, its start, and an arm's way from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...envs.world.config import WorldConfig
from ...envs.world.world import build_world
from ...policies.kind_shares import SHARES, shares_of
from ...policies.tabular.kinds import KindWorld
from ...policies.tabular.training import Batch, TableConfig, demonstration_order, imitate, train_table
from .arms import Arm

__all__ = ["sft_start", "train_arm", "training_world"]


@lru_cache(maxsize=8)
def training_world(config: WorldConfig, tables: str = "shared") -> KindWorld:
    """The training questions of a World as arrays; see `KindWorld.of` for `tables`."""
    return KindWorld.of(build_world(config).questions("train"), tables)


def sft_start(config: WorldConfig, start: str, seed: int, table: TableConfig) -> NDArray[np.float64]:
    """The logits after imitation, with a table per cue; all arms of a replicate start from them.

    Args:
        config: of the World; imitation plays its training questions.
        start: see `Condition`.
        seed: of the demonstrations.
        table: the training run, of which only the imitation matters.
    """
    if start.startswith(SHARES):
        shape = training_world(config).table_shape
        return np.broadcast_to(np.log(shares_of(start, shape[-1])), shape).copy()
    return _imitated(config, start, seed, replace(table, learning_rate=0.0, steps=0, epochs=1, checkpoints=()))


@lru_cache(maxsize=64)
def _imitated(config: WorldConfig, start: str, seed: int, table: TableConfig) -> NDArray[np.float64]:
    world = training_world(config)
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    order = demonstration_order(start, len(world.kinds), seed)
    imitate(logits, world, order, table, first_step=0, num_steps=table.sft_steps, seed=seed)
    return logits.detach().numpy().copy()


def train_arm(
    world: KindWorld,
    arm: Arm,
    strength: float,
    start: NDArray[np.float64],
    table: TableConfig,
    *,
    seed: int,
    demos: str,
    see: Callable[[Batch], None] = lambda batch: None,
) -> dict[int, NDArray[np.float64]]:
    """RL step -> logits, at the checkpoints of the run.

    Args:
        world: the training questions.
        arm: how to train.
        strength: the arm's.
        start: logits, `world.table_shape`.
        table: the training run.
        seed: of questions and rollouts.
        demos: what an imitating arm imitates, see `Condition.start`.
        see: is shown the episodes of each update of RL, before it.
    """
    logits = torch.from_numpy(start.copy()).requires_grad_()
    num_kinds = len(world.kinds)
    shares = shares_of(arm.demonstrator, num_kinds) if arm.demonstrator else ()

    def imitate_more(done: int, count: int) -> None:
        order, first = demonstration_order(demos, num_kinds, seed), table.sft_steps + done
        imitate(logits, world, order, table, first_step=first, num_steps=count, seed=seed, shares=shares)

    if not arm.imitation:
        if shares:
            imitate_more(0, table.sft_steps)
        run, loss = arm.table(table), arm.loss(strength)

        def seen(batch: Batch) -> Tensor:
            see(batch)
            return loss(batch)

        return train_table(logits, world, seen, run, seed=seed, rewards=arm.rewards, sets=arm.sets, renew=arm.renew)
    # as many episodes as RL would play, imitated instead
    out, done = {}, 0
    for step in table.checkpoints:
        imitate_more(done, step - done)
        out[step], done = logits.detach().numpy().copy(), step
    return out
