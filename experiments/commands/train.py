"""`berrypick train`: flags to a training run with a live view."""

from __future__ import annotations

import logging
import os
from dataclasses import replace

from ...envs.tasks.registry import Task, check_arguments, make_task
from ...policies.objectives.objective import check_group_size
from ...policies.objectives.registry import get_objective
from ...policies.scripted import scripted_policy
from ...policies.training.rl import RlConfig
from ...policies.training.sft import SftConfig
from ...retrieval_index.bounds import check_rates, flags_at_least
from ...retrieval_index.errors import BerrypickError
from ..report.closing import print_end
from ..report.live import LiveView
from ..report.training_end import training_closing, training_sentence
from ..runs.fit_checks import check_fit
from ..runs.preparation import Prepared, open_trainee
from ..runs.recipes import copying_steps, default_sft_steps, demonstration_args, is_fresh, learning_rates
from ..runs.training_config import TrainConfig, Validation
from .command_line import command_line
from .env_arguments import parse_env_args, split_arguments
from .train_flags import Train

__all__ = ["check_training", "prepare_training", "run_train"]

logger = logging.getLogger(__name__)


def run_train(flags: Train) -> int:
    """Trains as the flags say. All names are checked before any weights are loaded."""
    run = prepare_training(flags)
    if os.environ.get("RANK", "0") != "0":  # only the first process of a distributed run draws
        run.start(flags.out, resume=flags.resume, track=flags.track, on_collapse=flags.on_collapse)
        return 0
    with LiveView(f"train {flags.out}", run.config.sft.steps + run.config.rl.steps) as view:
        run.start(flags.out, resume=flags.resume, track=flags.track, view=view, on_collapse=flags.on_collapse)
    print_end(
        training_sentence(flags.out / "metrics.jsonl"),
        training_closing(flags.out, flags.env, flags.env_arg, holdout=flags.holdout, further=_further(flags)),
    )
    return 0


def _further(flags: Train) -> str:
    """The line that trains twice as long; "" for a run without RL, whose learning rate has run out."""
    if not flags.steps:
        return ""
    longer = replace(flags, steps=2 * flags.steps, resume=True)
    return f"{command_line('berrypick train', longer)}    (goes on to {longer.steps} RL steps)"


def prepare_training(flags: Train) -> Prepared:
    """Opens the task and the policy that the flags name, and writes the configuration of the run."""
    check_training(flags)
    arguments = parse_env_args(flags.env_arg) | split_arguments(
        flags.env, holdout=flags.holdout, train_questions=flags.train_questions
    )
    task = make_task(flags.env, **arguments)
    task.split(flags.split)  # raises if there is no such split
    sft_steps = _sft_steps(flags, task)
    trainee = open_trainee(
        flags.policy, seed=flags.seed, dtype=flags.dtype, device=flags.device, lora_rank=flags.lora_rank
    )
    check_fit(trainee.policy, task, flags.split)
    config = TrainConfig(
        env=flags.env,
        env_args=arguments,
        policy=flags.policy,
        dtype=trainee.policy.dtype,
        lora_rank=flags.lora_rank,
        split=flags.split,
        demonstrator=flags.demonstrator,
        demonstrations=flags.demonstrations,
        demonstration_args=demonstration_args(task),
        sft=_sft_config(flags, sft_steps, trainee.num_parameters),
        rl=_rl_config(flags, trainee.num_parameters),
        validation=Validation(flags.sft_validation, flags.sft_validate_every, flags.sft_patience),
        checkpoint_every=flags.checkpoint_every,
        fsdp=flags.fsdp,
    )
    return Prepared(config, trainee.policy, task, trainee.player)


def check_training(flags: Train) -> None:
    """Refuses what is wrong whatever the policy is; opens nothing.

    Raises:
        BerrypickError: an unknown name, or a number out of its range; the message names the flag.
    """
    check_arguments(flags.env, parse_env_args(flags.env_arg))
    objective = get_objective(flags.objective)
    scripted_policy(flags.demonstrator)  # raises if there is no such demonstrator
    flags_at_least(0, flags, "steps", "sft_steps")
    if flags.steps and flags.group_size < 2:
        raise BerrypickError("--group-size must be at least 2: an advantage compares rollouts of one question")
    if flags.steps:
        check_group_size(objective, flags.group_size)
    flags_at_least(1, flags, "checkpoint_every", "demonstrations", "sft_batch_size", "max_new_tokens", "max_tokens")
    flags_at_least(1, flags, "questions_per_step", "epochs", "mini_batches", "sft_validate_every")
    flags_at_least(0, flags, "learning_rate", "sft_learning_rate", "dynamic_sampling", "lora_rank", "sft_patience")
    flags_at_least(0, flags, "holdout")
    check_rates(flags, "learning_rate", "sft_learning_rate")


def _sft_steps(flags: Train, task: Task) -> int:
    """The SFT steps of the flags, or the default."""
    steps = default_sft_steps(flags.policy, task) if flags.sft_steps is None else flags.sft_steps
    if flags.steps + steps == 0:
        raise BerrypickError("nothing to train: give --steps or --sft-steps above 0")
    if flags.sft_steps == 0 and is_fresh(flags.policy):
        logger.warning(
            "%s starts from nothing: without SFT no rollout earns a reward, so RL learns nothing; leave out "
            "--sft-steps 0",
            flags.policy,
        )
    return steps


def _sft_config(flags: Train, steps: int, num_parameters: int) -> SftConfig:
    rate = flags.sft_learning_rate  # 0 is a rate: a control that learns nothing
    return SftConfig(
        steps=steps,
        batch_size=flags.sft_batch_size,
        learning_rate=learning_rates(num_parameters).sft if rate is None else rate,
        copying_steps=copying_steps(flags.policy, steps),
        max_tokens=flags.max_tokens,
        packing=flags.sft_packing,
        seed=flags.seed,
    )


def _rl_config(flags: Train, num_parameters: int) -> RlConfig:
    rate = flags.learning_rate
    return RlConfig(
        objective=flags.objective,
        steps=flags.steps,
        questions_per_step=flags.questions_per_step,
        group_size=flags.group_size,
        learning_rate=learning_rates(num_parameters).rl if rate is None else rate,
        epochs=flags.epochs,
        mini_batches=flags.mini_batches,
        loss_mean=flags.loss_mean,
        dynamic_sampling=flags.dynamic_sampling,
        max_new_tokens=flags.max_new_tokens,
        max_tokens=flags.max_tokens,
        seed=flags.seed,
    )
