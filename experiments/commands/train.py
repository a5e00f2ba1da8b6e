"""`berrypick train`: flags to a training run with a live view."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ...envs.tasks.registry import make_task
from ...envs.tasks.task import Task
from ...policies.language.lora import with_lora
from ...policies.language.model import LanguageModelPolicy
from ...policies.language.vllm_engine import VllmPolicy, split_name
from ...policies.objectives.registry import get_objective
from ...policies.open_policy import open_policy
from ...policies.training.players import Player
from ...policies.training.rl import RlConfig
from ...policies.training.sft import SftConfig
from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ..report.live import LiveView
from ..runs.training import WORLD_DEMONSTRATIONS, TrainConfig, TrainView, Validation, train
from .env_arguments import parse_env_args

if TYPE_CHECKING:
    from .train_flags import Train

__all__ = ["Prepared", "prepare_training", "run_train", "start_training"]

SMALL_MODEL = 5_000_000
"""Models with fewer parameters are trained at the from-scratch preset's learning rates."""


def run_train(command: Train) -> None:
    """Checks the names first, then loads, then trains."""
    prepared = prepare_training(command)
    if os.environ.get("RANK", "0") != "0":  # of several processes one draws
        start_training(command, prepared)
        return
    with LiveView(f"train {command.out}", command.sft_steps + command.steps) as view:
        start_training(command, prepared, view=view)


class Prepared(NamedTuple):
    """What the flags of a run name."""

    config: TrainConfig
    policy: LanguageModelPolicy
    task: Task
    player: Player | None


def start_training(command: Train, prepared: Prepared, *, view: TrainView | None = None) -> None:
    """Trains what was prepared, in the command's folder."""
    config, policy, task, player = prepared
    train(config, policy, task, command.out, resume=command.resume, view=view, track=command.track, player=player)


def prepare_training(command: Train) -> Prepared:
    """Flags to a configuration, with the policy and the task that it names."""
    from ...policies.scripted import SCRIPTED

    get_objective(command.objective)
    if command.demonstrator not in SCRIPTED:
        raise UnknownNameError("demonstrator", command.demonstrator, SCRIPTED)
    if command.steps < 0 or command.sft_steps < 0 or command.steps + command.sft_steps == 0:
        raise BerrypickError("nothing to train: give --steps or --sft-steps above 0")
    if command.steps and command.group_size < 2:
        raise BerrypickError("--group-size must be at least 2: an advantage compares rollouts of one question")
    arguments = parse_env_args(command.env_arg)
    task = make_task(command.env, **arguments)
    task.split(command.split)
    opened = open_policy(command.policy, seed=command.seed, dtype=command.dtype, device=command.device)
    policy = opened.weights if isinstance(opened, VllmPolicy) else opened
    if not isinstance(policy, LanguageModelPolicy):
        raise BerrypickError(
            f"policy {command.policy} cannot be trained; training needs weights: tiny, smollm2, a folder or a hub id"
        )
    if command.lora_rank:
        policy = with_lora(policy, command.lora_rank, seed=command.seed)
    player = replace(opened, weights=policy) if isinstance(opened, VllmPolicy) else None
    is_small = policy.model.num_parameters() < SMALL_MODEL
    config = TrainConfig(
        env=command.env,
        env_args=arguments,
        policy=command.policy,
        dtype=command.dtype,
        lora_rank=command.lora_rank,
        split=command.split,
        demonstrator=command.demonstrator,
        demonstrations=command.demonstrations,
        demonstration_args=WORLD_DEMONSTRATIONS if task.world else {},
        sft=SftConfig(
            steps=command.sft_steps,
            batch_size=command.sft_batch_size,
            learning_rate=_given(command.sft_learning_rate, 4e-3 if is_small else 2e-5),
            copying_steps=command.sft_steps // 4 if split_name(command.policy)[1] == "tiny" else 0,
            max_tokens=command.max_tokens,
            packing=command.sft_packing,
            seed=command.seed,
        ),
        rl=RlConfig(
            objective=command.objective,
            steps=command.steps,
            questions_per_step=command.questions_per_step,
            group_size=command.group_size,
            learning_rate=_given(command.learning_rate, 1e-4 if is_small else 1e-6),
            epochs=command.epochs,
            mini_batches=command.mini_batches,
            loss_mean=command.loss_mean,
            dynamic_sampling=command.dynamic_sampling,
            max_new_tokens=command.max_new_tokens,
            max_tokens=command.max_tokens,
            seed=command.seed,
        ),
        validation=Validation(command.sft_validation, command.sft_validate_every, command.sft_patience),
        checkpoint_every=command.checkpoint_every,
        fsdp=command.fsdp,
    )
    return Prepared(config, policy, task, player)


def _given(rate: float | None, default: float) -> float:
    """The rate that was asked for, 0 included: a control that learns nothing."""
    return default if rate is None else rate
