"""One training run: demonstrations, SFT, RL, checkpoints; resumable to the bit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
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
from ..policies.distributed import Processes, join_processes
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
from .trackers import Tracker, open_trackers

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
        dtype: of the weights, "float32" or "bfloat16".
        lora_rank: of the LoRA matrices that train instead of all weights; 0 without.
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
    dtype: str = "float32"
    lora_rank: int = 0
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
    track: Sequence[str] = ("tensorboard",),
) -> LanguageModelPolicy:
    """Runs SFT and then RL, and trains `policy` in place.

    Under `accelerate launch` all processes call it; the first one writes.

    Args:
        config: the run.
        policy: loaded from `config.policy`.
        task: made from `config.env` and `config.env_args`.
        out: the run folder.
        resume: go on from the newest checkpoint; the outcome is that of a run that was never stopped.
        view: told of every step.
        track: trackers by the names `accelerate` gives them; those that are not installed raise `MissingExtraError`.
    """
    processes = join_processes()
    if processes.rank == 0:
        open_run_folder(out, asdict(config), resume=resume)
    processes.gather(None)  # the folder is there
    trackers = open_trackers(track, out) if processes.rank == 0 else []
    found = latest_checkpoint(out / "checkpoints")
    run = _Run(
        config, policy, task, out, RunLog(out), found, view if processes.rank == 0 else None, processes, trackers
    )
    phase = found.name.split("-")[0] if found else "sft"
    try:
        if phase == "sft" and config.sft.steps:
            _sft(run)
        if config.rl.steps:
            _rl(run if phase == "rl" else replace(run, found=None))
        elif phase == "rl" and found:
            load_checkpoint(found, policy, rl_optimizer(policy, config.rl))
    finally:
        for tracker in trackers:
            tracker.finish()
    return policy


@dataclass(frozen=True)
class _Run:
    """A run under way; only the first process writes."""

    config: TrainConfig
    policy: LanguageModelPolicy
    task: Task
    out: Path
    log: RunLog
    found: Path | None
    view: TrainView | None
    processes: Processes
    trackers: Sequence[Tracker]

    def resume(self, optimizer: torch.optim.Optimizer, memory: RlState | None = None) -> int:
        """Loads the checkpoint that was found, if any; returns the step to go on from."""
        state: dict[str, Any] = {"metrics_bytes": 0, "step": 0}
        if self.found:
            state = load_checkpoint(self.found, self.policy, optimizer)
            logger.info("resumed from %s", self.found)
        if self.processes.rank == 0:  # what was logged after the checkpoint is written again
            truncate_log(self.log.metrics_path, state["metrics_bytes"])
        if memory is not None and self.found:
            memory.load_state_dict(state["memory"])
        return int(state["step"])

    def tell(self, phase: str, step: int, metrics: dict[str, float], text: str | None = None) -> None:
        """Logs a step; `step` counts from 1 within its phase."""
        if self.processes.rank:
            return
        self.log.write(phase, step, metrics)
        overall = step + (self.config.sft.steps if phase == "rl" else 0)
        for tracker in self.trackers:
            tracker.log(metrics, step=overall)
        if self.view:
            self.view.update(overall, metrics, text)

    def save(self, optimizer: torch.optim.Optimizer, phase: str, step: int, memory: RlState | None = None) -> None:
        """Writes a checkpoint; the others wait for it."""
        if self.processes.rank == 0:
            state: dict[str, Any] = {"phase": phase, "step": step, "metrics_bytes": self.log.size}
            if memory is not None:
                state["memory"] = memory.state_dict()
            save_checkpoint(self.out / "checkpoints", self.policy, optimizer, state)
        self.processes.gather(None)


def _sft(run: _Run) -> None:
    config, policy = run.config, run.policy
    optimizer = sft_optimizer(policy, config.sft)
    first = run.resume(optimizer)
    if first == config.sft.steps:
        return
    if run.view:
        run.view.begin(first)
    demonstrations = demonstrate(policy, run.task, config)
    for step in range(first, config.sft.steps):
        batch = sft_batch(demonstrations, policy, config.sft, step)
        run.tell("sft", step + 1, sft_update(policy, optimizer, batch, config.sft, step, run.processes))
        if (step + 1) % (10 * config.checkpoint_every) == 0 or step + 1 == config.sft.steps:
            run.save(optimizer, "sft", step + 1)


def _rl(run: _Run) -> None:
    config, policy, task, processes = run.config, run.policy, run.task, run.processes
    objective = get_objective(config.rl.objective)
    reference = None
    if objective.needs_reference:
        if processes.rank == 0:
            reference_model(run.out / "reference", policy)
        processes.gather(None)
        reference = reference_model(run.out / "reference", policy)
    optimizer, memory = rl_optimizer(policy, config.rl), RlState()
    first = run.resume(optimizer, memory) if run.found or not config.sft.steps else 0
    if run.view:
        run.view.begin(config.sft.steps + first)
    every = task.split(config.split)
    for step in range(first, config.rl.steps):
        questions = questions_of_step(every, config.rl, step)
        groups = rl_rollout(
            policy, questions, task.spec, task.searcher, config.rl, step, more=every, processes=processes
        )
        update = rl_update(
            policy,
            optimizer,
            groups,
            objective,
            config.rl,
            step=step,
            state=memory,
            reference=reference,
            processes=processes,
        )
        run.tell("rl", step + 1, {**group_metrics(groups), **update}, _as_text(groups))
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.rl.steps:
            run.save(optimizer, "rl", step + 1, memory)


def _as_text(groups: Sequence[Sequence[Episode]]) -> str:
    """The first episode of a step as it reads."""
    episode = groups[0][0]
    lines = [message["content"].strip() for message in episode.messages]
    return "\n".join(lines) + f"\n(reward {episode.reward:g}; answer: {' | '.join(episode.question.answers)})"
