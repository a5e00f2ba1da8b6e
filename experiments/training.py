"""One training run: demonstrations, SFT, RL, checkpoints; resumable to the bit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from ..envs.episode import Episode
from ..envs.tasks import Task, make_task
from ..policies.batches import TokenRows
from ..policies.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    reference_model,
    save_checkpoint,
    truncate_log,
)
from ..policies.group_metrics import group_metrics
from ..policies.language_model import LanguageModelPolicy, encode_episode
from ..policies.objectives.registry import get_objective
from ..policies.policy import Sampling
from ..policies.rl import RlConfig, questions_of_step, rl_optimizer, rl_rollout, rl_update
from ..policies.rl_update import RlState
from ..policies.rollout import rollout
from ..policies.scripted import scripted_policy
from ..policies.sft import SftConfig, sft_batch, sft_optimizer, sft_update
from .run_folder import RunLog, open_run_folder

__all__ = ["WORLD_DEMONSTRATIONS", "TrainConfig", "TrainView", "demonstrate", "train"]

logger = logging.getLogger(__name__)


WORLD_DEMONSTRATIONS: dict[str, Any] = {
    "world_seed": 1_000_003,
    "num_train": 4096,
    "num_validation": 0,
    "num_test": 0,
    "index": "bm25s",
}
"""The world whose questions are demonstrated."""


class TrainView(Protocol):
    """What a training run tells about itself while it goes."""

    def begin(self, step: int) -> None:
        """Called once before a phase's first step; `step` is how many are done already."""
        ...

    def update(self, step: int, metrics: dict[str, float], episode_text: str | None = None) -> None:
        """Called after each step; `step` counts over both phases."""
        ...


@dataclass(frozen=True)
class TrainConfig:
    """A training run; together with the code it decides every byte of metrics.jsonl.

    Attributes:
        env: environment id.
        env_args: its arguments.
        policy: where the weights start: "tiny", a folder, a hub id.
        split: the fixed training questions.
        demonstrator: the scripted policy that SFT imitates.
        demonstrations: episodes it plays of each training question.
        demonstration_args: arguments of the environment to change while demonstrating; the World preset plays another
            world, so that SFT shows many names and never a question that RL or the test asks.
        checkpoint_every: steps between checkpoints.
    """

    env: str
    env_args: dict[str, Any] = field(default_factory=dict)
    policy: str = "tiny"
    split: str = "train"
    demonstrator: str = "random_order"
    demonstrations: int = 4
    demonstration_args: dict[str, Any] = field(default_factory=dict)
    sft: SftConfig = field(default_factory=lambda: SftConfig(steps=0))
    rl: RlConfig = field(default_factory=lambda: RlConfig(steps=0))
    checkpoint_every: int = 10


def demonstrate(policy: LanguageModelPolicy, task: Task, config: TrainConfig) -> TokenRows:
    """Plays the demonstrator on the training questions and encodes its episodes as a session would hold them."""
    if config.demonstration_args:
        task = make_task(config.env, **{**config.env_args, **config.demonstration_args})
    groups = rollout(
        scripted_policy(config.demonstrator),
        task.split(config.split),
        task.spec,
        task.searcher,
        num_samples=config.demonstrations,
        sampling=Sampling(),
        seed=config.sft.seed,
        max_rows=4096,
    )
    encoded = [encode_episode(policy.tokenizer, episode) for group in groups for episode in group]
    return TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])


def train(
    config: TrainConfig,
    policy: LanguageModelPolicy,
    task: Task,
    out: Path,
    *,
    resume: bool = False,
    view: TrainView | None = None,
) -> LanguageModelPolicy:
    """Runs SFT and then RL, and trains `policy` in place.

    Args:
        config: the run.
        policy: loaded from `config.policy`.
        task: made from `config.env` and `config.env_args`.
        out: the run folder.
        resume: go on from the newest checkpoint; the outcome is that of a run that was never stopped.
        view: told of every step.
    """
    open_run_folder(out, asdict(config), resume=resume)
    log = RunLog(out)
    found = latest_checkpoint(out / "checkpoints")
    phase = found.name.split("-")[0] if found else "sft"
    if phase == "sft" and config.sft.steps:
        _sft(config, policy, task, out, log, found, view)
    if config.rl.steps:
        _rl(config, policy, task, out, log, found if phase == "rl" else None, view)
    elif phase == "rl" and found:
        load_checkpoint(found, policy, rl_optimizer(policy, config.rl))
    return policy


def _resume(
    found: Path | None,
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    log: RunLog,
    memory: RlState | None = None,
) -> int:
    if found is None:  # killed before the first checkpoint: what was logged is written again
        truncate_log(log.metrics_path, 0)
        return 0
    state = load_checkpoint(found, policy, optimizer)
    truncate_log(log.metrics_path, state["metrics_bytes"])
    if memory is not None:
        memory.load_state_dict(state["memory"])
    logger.info("resumed from %s", found)
    return int(state["step"])


def _sft(
    config: TrainConfig,
    policy: LanguageModelPolicy,
    task: Task,
    out: Path,
    log: RunLog,
    found: Path | None,
    view: TrainView | None,
) -> None:
    optimizer = sft_optimizer(policy, config.sft)
    first = _resume(found, policy, optimizer, log)
    if first == config.sft.steps:
        return
    if view:
        view.begin(first)
    demonstrations = demonstrate(policy, task, config)
    for step in range(first, config.sft.steps):
        metrics = sft_update(policy, optimizer, sft_batch(demonstrations, policy, config.sft, step), config.sft, step)
        log.write("sft", step + 1, metrics)
        if view:
            view.update(step + 1, metrics)
        if (step + 1) % (10 * config.checkpoint_every) == 0 or step + 1 == config.sft.steps:
            _save(out, policy, optimizer, "sft", step + 1, log)


def _rl(
    config: TrainConfig,
    policy: LanguageModelPolicy,
    task: Task,
    out: Path,
    log: RunLog,
    found: Path | None,
    view: TrainView | None,
) -> None:
    objective = get_objective(config.rl.objective)
    reference = reference_model(out / "reference", policy) if objective.needs_reference else None
    optimizer, memory = rl_optimizer(policy, config.rl), RlState()
    first = _resume(found, policy, optimizer, log, memory) if found or not config.sft.steps else 0
    if view:
        view.begin(config.sft.steps + first)
    for step in range(first, config.rl.steps):
        every = task.split(config.split)
        questions = questions_of_step(every, config.rl, step)
        groups = rl_rollout(policy, questions, task.spec, task.searcher, config.rl, step, more=every)
        update = rl_update(
            policy, optimizer, groups, objective, config.rl, step=step, state=memory, reference=reference
        )
        metrics = {**group_metrics(groups), **update}
        log.write("rl", step + 1, metrics)
        if view:
            view.update(config.sft.steps + step + 1, metrics, _as_text(groups))
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.rl.steps:
            _save(out, policy, optimizer, "rl", step + 1, log, memory)


def _save(
    out: Path,
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    phase: str,
    step: int,
    log: RunLog,
    memory: RlState | None = None,
) -> None:
    state: dict[str, Any] = {"phase": phase, "step": step, "metrics_bytes": log.size}
    if memory is not None:
        state["memory"] = memory.state_dict()
    save_checkpoint(out / "checkpoints", policy, optimizer, state)


def _as_text(groups: Sequence[Sequence[Episode]]) -> str:
    """The first episode of a step as it reads."""
    episode = groups[0][0]
    lines = [message["content"].strip() for message in episode.messages]
    return "\n".join(lines) + f"\n(reward {episode.reward:g}; answer: {' | '.join(episode.question.answers)})"
