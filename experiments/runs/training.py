"""One training run: demonstrations, SFT, RL, checkpoints; resumable to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from ...envs.tasks.registry import Task
from ...policies.language.model import LanguageModelPolicy
from ...policies.training.checkpoint import latest_checkpoint, load_checkpoint
from ...policies.training.distributed import Processes, join_processes
from ...policies.training.players import OwnWeights, Player
from ...policies.training.rl import rl_optimizer
from ...policies.training.sharding import ShardedProcesses, shard
from ...retrieval_index.errors import BerrypickError
from .run_folder import RunLog, hold_run_folder
from .trackers import check_trackers, open_trackers
from .training_config import WORLD_DEMONSTRATIONS, TrainConfig, TrainView, Validation, demonstrate
from .training_run import TrainRun

__all__ = ["WORLD_DEMONSTRATIONS", "TrainConfig", "TrainView", "Validation", "demonstrate", "train"]


def train(
    config: TrainConfig,
    policy: LanguageModelPolicy,
    task: Task,
    out: Path,
    *,
    resume: bool = False,
    view: TrainView | None = None,
    track: Sequence[str] = ("tensorboard",),
    player: Player | None = None,
) -> LanguageModelPolicy:
    """Runs SFT and then RL, and trains `policy` in place.

    Under `accelerate launch` or `torchrun` all processes call it; the first one writes.

    Args:
        config: the run.
        policy: loaded from `config.policy`.
        task: made from `config.env` and `config.env_args`.
        out: the run folder.
        resume: go on from the newest checkpoint; the outcome is that of a run that was never stopped.
        view: told of every step.
        track: trackers by the names `accelerate` gives them; those that are not installed raise `MissingExtraError`.
        player: plays the rollouts of `policy`; by default the policy itself.
    """
    check_trackers(track)
    processes = join_processes()
    policy, player, processes = _divide(config, policy, player, processes)
    first = processes.rank == 0
    with hold_run_folder(out, asdict(config), resume=resume) if first else nullcontext():
        processes.gather(None)  # the folder is there
        trackers = open_trackers(track, out) if first else []
        found = latest_checkpoint(out / "checkpoints")
        run = TrainRun(
            config, policy, player, task, out, RunLog(out), found, view if first else None, processes, trackers
        )
        try:
            _go_on(run)
        finally:
            for tracker in trackers:
                tracker.finish()
    player.sync()
    return player.weights


def _go_on(run: TrainRun) -> None:
    """The phases that are not done yet."""
    config, found = run.config, run.found
    phase = found.name.split("-")[0] if found else "sft"
    if phase == "sft" and config.sft.steps:
        run.sft()
    if config.rl.steps:
        (run if phase == "rl" else replace(run, found=None)).rl()
    elif phase == "rl" and found:
        load_checkpoint(found, run.player.weights, rl_optimizer(run.player.weights, config.rl))


def _divide(
    config: TrainConfig, policy: LanguageModelPolicy, player: Player | None, processes: Processes
) -> tuple[LanguageModelPolicy, Player, Processes]:
    """Who trains, who plays and how processes meet, with weights sharded where that was asked for."""
    if player is not None and processes.count > 1:
        raise BerrypickError("vllm: plays for one training process; start one, or leave the prefix vllm: out")
    if not config.fsdp:
        return policy, player or OwnWeights(policy), processes
    if player is not None or processes.count == 1:
        raise BerrypickError(
            "--fsdp shards over several processes that play in process; start them with: "
            "accelerate launch --multi_gpu --num_processes N -m berrypick train ... --fsdp"
        )
    whole = shard(policy)
    return whole.sharded, whole, ShardedProcesses()
