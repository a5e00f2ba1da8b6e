"""`train`: one training run, SFT and then RL. Interrupted runs resume bit-identically."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from ...envs.tasks.registry import Task
from ...policies.language.adapter import save_adapter
from ...policies.language.model import LanguageModelPolicy
from ...policies.training.checkpoint import checkpoint_of_log, load_checkpoint
from ...policies.training.distributed import Processes, join_processes
from ...policies.training.players import OwnWeights, Player
from ...policies.training.rl import rl_optimizer
from ...policies.training.sharding import ShardedProcesses, shard
from ...retrieval_index.errors import BerrypickError
from .collapse_watch import OnCollapse
from .run_folder import hold_run_folder
from .run_log import RunLog
from .trackers import check_trackers, open_trackers
from .training_config import TrainConfig, TrainView, episode_rules
from .training_run import TrainRun

__all__ = ["train"]


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
    on_collapse: OnCollapse = "warn",
) -> LanguageModelPolicy:
    """Trains a policy in place with SFT and then RL.

    Under `accelerate launch` or `torchrun` all processes call it; only the first one writes files.

    Args:
        config: the run.
        policy: loaded from `config.policy`.
        task: made from `config.env` and `config.env_args`.
        out: the run folder.
        resume: continue from the newest checkpoint; the result is that of a run that was never stopped. More RL steps
            than before go on where the run ended, as if it had been configured so at once.
        view: shows every step.
        track: names of trackers as `accelerate` has them, e.g. "tensorboard".
        player: plays the rollouts of `policy`; by default the policy itself.
        on_collapse: "warn" shows alarms, see `collapse_alarms`; "stop" also ends the run at the first.

    A run with LoRA ends with its matrices in `out/adapter`, see `save_adapter`.

    Returns:
        The trained weights: `policy`, or a whole copy of it if its weights are sharded.

    Raises:
        MissingExtraError: a tracker is not installed.
        CollapseError: the run was stopped at an alarm.
        BerrypickError: the folder holds another run, or the configuration does not fit the processes.
    """
    check_trackers(track)
    processes = join_processes()
    policy, player, processes = _distribute(config, policy, player, processes)
    first = processes.rank == 0
    with hold_run_folder(out, asdict(config), resume=resume, may_grow=("rl.steps",)) if first else nullcontext():
        processes.gather(None)  # from here on the folder exists
        trackers = open_trackers(track, out) if first else []
        found = checkpoint_of_log(out / "checkpoints", out / "metrics.jsonl")
        run = TrainRun(
            config,
            policy,
            player,
            task,
            out,
            RunLog(out),
            found,
            view if first else None,
            processes,
            trackers,
            on_collapse,
        )
        try:
            _run_phases(run)
        finally:
            for tracker in trackers:
                tracker.finish()
        player.sync()
        if first and player.weights.has_lora:
            rules = {**episode_rules(config, task), "max_new_tokens": config.rl.max_new_tokens}
            save_adapter(player.weights, out / "adapter", base=config.policy, rules=rules, seed=config.sft.seed)
    return player.weights


def _run_phases(run: TrainRun) -> None:
    """Runs what is left: SFT and RL, RL alone, or nothing of a finished run but loading its weights."""
    config, found = run.config, run.found
    phase = found.name.split("-")[0] if found else "sft"
    if phase == "sft" and config.sft.steps:
        run.sft()
    if config.rl.steps:
        (run if phase == "rl" else replace(run, found=None)).rl()
    elif phase == "rl" and found:
        load_checkpoint(found, run.player.weights, rl_optimizer(run.player.weights, config.rl))


def _distribute(
    config: TrainConfig, policy: LanguageModelPolicy, player: Player | None, processes: Processes
) -> tuple[LanguageModelPolicy, Player, Processes]:
    """The policy that trains, the player of its rollouts and the processes; --fsdp shards the weights."""
    if player is not None and processes.count > 1:
        raise BerrypickError("vllm: plays for one training process only; start one, or remove vllm: from --policy")
    if not config.fsdp:
        return policy, player or OwnWeights(policy), processes
    if player is not None or processes.count == 1:
        raise BerrypickError(
            "--fsdp needs several processes, and no vllm: in --policy; start them with: "
            "accelerate launch --multi_gpu --num_processes N -m berrypick train ... --fsdp"
        )
    whole = shard(policy)
    return whole.sharded, whole, ShardedProcesses()
