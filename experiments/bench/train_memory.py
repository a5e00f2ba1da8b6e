"""Peak memory of a training step, ours and TRL's, each in a fresh process that has loaded what it needs."""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from typing import Literal

import torch

from ...envs.tasks.registry import make_task
from ...policies.language.model import LanguageModelPolicy
from ...policies.objectives import get_objective
from ...policies.open_policy import open_policy
from ...policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from ...retrieval_index.errors import MissingExtraError
from .peak_rss import PeakRss

__all__ = ["step_growth_mib"]

Trainer = Literal["ours", "TRL"]


def step_growth_mib(trainer: Trainer, policy: str, env: str, config: RlConfig) -> float:
    """Peak memory of two training steps in addition to the loaded model, MiB.

    Args:
        trainer: "ours", or "TRL" for its GRPOTrainer as `train_trl.py` configures it.
        policy: a name for `open_policy`; the measured process loads the model again.
        env: environment id.
        config: settings of a step.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_in_child, trainer, policy, env, config, torch.get_num_threads()).result()


def _in_child(trainer: Trainer, name: str, env: str, config: RlConfig, threads: int) -> float:
    torch.set_num_threads(threads)
    policy, task = open_policy(name), make_task(env)
    assert isinstance(policy, LanguageModelPolicy), "the benchmark has checked this"
    questions = next(iter(task.questions.values()))[: config.questions_per_step]
    if trainer == "TRL":
        from .train_trl import trl_step_seconds

        try:  # imports are not memory of a step; trl imports lazily
            for module, needed in (("datasets", "Dataset"), ("trl", "GRPOConfig"), ("trl", "GRPOTrainer")):
                getattr(import_module(module), needed)
        except ImportError as error:
            raise MissingExtraError("--trl", "trl", error) from error
        with tempfile.TemporaryDirectory() as folder, PeakRss() as peak:
            trl_step_seconds(policy, task, questions, config, 1, folder)
        return peak.growth_mib
    with PeakRss() as peak:
        optimizer, objective = rl_optimizer(policy, config), get_objective(config.objective)
        for step in range(2):
            groups = rl_rollout(policy, questions, task.spec, task.searcher, config, step)
            groups[0][0].reward, groups[0][-1].reward = 1.0, 0.0  # otherwise no group has a gradient
            rl_update(policy, optimizer, groups, objective, config, step=step)
    return peak.growth_mib
