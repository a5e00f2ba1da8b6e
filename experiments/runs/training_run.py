"""A training run under way: resuming, logging, checkpoints, and its two phases."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...envs.episode import Episode
from ...envs.tasks.registry import Task
from ...policies.language.batches import TokenRows
from ...policies.language.episode_rows import within_window
from ...policies.language.model import LanguageModelPolicy
from ...policies.objectives.registry import get_objective
from ...policies.training.checkpoint import (
    load_checkpoint,
    load_weights,
    pack_optimizer,
    reference_model,
    save_checkpoint,
    truncate_log,
)
from ...policies.training.distributed import Processes
from ...policies.training.group_metrics import group_metrics
from ...policies.training.players import Player
from ...policies.training.rl import questions_of_step, rl_optimizer, rl_rollout, rl_update
from ...policies.training.rl_update import RlState
from ...policies.training.sft import sft_optimizer
from ...policies.training.sft_fit import EarlyStop, sft_steps, validation_loss
from .run_folder import RunLog
from .trackers import Tracker
from .training_config import TrainConfig, TrainView, demonstrate, hold_out

__all__ = ["TrainRun"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainRun:
    """A run under way; only the first process writes.

    Attributes:
        policy: trained in place.
        player: plays its rollouts and holds the whole weights.
        found: the checkpoint to go on from, if there is one.
    """

    config: TrainConfig
    policy: LanguageModelPolicy
    player: Player
    task: Task
    out: Path
    log: RunLog
    found: Path | None
    view: TrainView | None
    processes: Processes
    trackers: Sequence[Tracker]

    def resume(self, optimizer: torch.optim.Optimizer, memory: RlState | None = None) -> dict[str, Any]:
        """Loads the checkpoint that was found, if any; returns its state, of which "step" is where to go on."""
        state: dict[str, Any] = {"metrics_bytes": 0, "step": 0}
        if self.found:
            state = load_checkpoint(self.found, self.player.weights, optimizer)
            self.player.load()
            logger.info("resumed from %s", self.found)
        if self.processes.rank == 0:  # what was logged after the checkpoint is written again
            truncate_log(self.log.metrics_path, state["metrics_bytes"])
        if memory is not None and self.found:
            memory.load_state_dict(state["memory"])
        return state

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

    def save(self, optimizer: torch.optim.Optimizer, phase: str, step: int, *, spare: str = "", **memory: Any) -> None:
        """Writes a checkpoint with what `memory` names; the others wait for it."""
        self.player.sync()
        packed = pack_optimizer(optimizer) if self.config.fsdp or self.processes.rank == 0 else None
        if self.processes.rank == 0:
            state = {"phase": phase, "step": step, "metrics_bytes": self.log.size, **memory}
            save_checkpoint(self.out / "checkpoints", self.player.weights, optimizer, state, packed=packed, spare=spare)
        self.processes.gather(None)

    def sft(self) -> None:
        """Imitates demonstrations, to the last update or until validation says so."""
        config, policy = self.config, self.policy
        optimizer = sft_optimizer(policy, config.sft)
        state = self.resume(optimizer)
        if state["step"] == config.sft.steps:
            return
        if self.view:
            self.view.begin(state["step"])
        sides = hold_out(demonstrate(policy, self.task, config), config)
        learn, validation = (within_window(policy, side) for side in sides)
        stop = EarlyStop(config.validation.patience, [(step, loss) for step, loss in state.get("validation", [])])
        for done in sft_steps(
            policy,
            optimizer,
            learn,
            config.sft,
            stop,
            first=state["step"],
            validate=partial(self._validate, validation) if validation.ids else None,
            validate_every=config.validation.every,
            processes=self.processes,
        ):
            self.tell("sft", done.number, done.metrics)
            last = done.number == config.sft.steps
            due = last or done.checked or done.number % (10 * config.checkpoint_every) == 0
            if due and not (last and done.checked):  # with validation, the last checkpoint is that of the best weights
                self._save_sft(optimizer, done.number, stop)
        if validation.ids:
            self._end_with_best(optimizer, stop)

    def _save_sft(self, optimizer: torch.optim.Optimizer, step: int, stop: EarlyStop) -> None:
        best = f"sft-{stop.best_step:06d}"
        memory = {"validation": stop.checks} if stop.checks else {}
        self.save(optimizer, "sft", step, spare=best, **memory)

    def _end_with_best(self, optimizer: torch.optim.Optimizer, stop: EarlyStop) -> None:
        """Writes SFT's last checkpoint from the weights of the lowest validation loss."""
        steps = self.config.sft.steps
        if stop.best_step < steps:
            load_weights(self.out / "checkpoints" / f"sft-{stop.best_step:06d}", self.player.weights)
            self.player.load()
        logger.info("SFT ends with the weights of update %d", stop.best_step)
        self._save_sft(optimizer, steps, stop)

    def _validate(self, rows: TokenRows) -> float:
        self.player.sync()
        return validation_loss(self.player.weights, rows, self.config.sft.max_tokens)

    def rl(self) -> None:
        """Reinforcement learning, step by step."""
        config, policy, task, processes = self.config, self.policy, self.task, self.processes
        objective = get_objective(config.rl.objective)
        reference = None
        if objective.needs_reference:
            self.player.sync()
            if processes.rank == 0:
                reference_model(self.out / "reference", self.player.weights)
            processes.gather(None)
            reference = reference_model(self.out / "reference", self.player.weights)
        optimizer, memory = rl_optimizer(policy, config.rl), RlState()
        first = self.resume(optimizer, memory)["step"] if self.found or not config.sft.steps else 0
        if self.view:
            self.view.begin(config.sft.steps + first)
        every = task.split(config.split)
        for step in range(first, config.rl.steps):
            questions = questions_of_step(every, config.rl, step)
            self.player.sync()
            groups = rl_rollout(
                self.player, questions, task.spec, task.searcher, config.rl, step, more=every, processes=processes
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
            self.tell("rl", step + 1, {**group_metrics(groups), **update}, _as_text(groups))
            if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.rl.steps:
                self.save(optimizer, "rl", step + 1, memory=memory.state_dict())


def _as_text(groups: Sequence[Sequence[Episode]]) -> str:
    """The first episode of a step as it reads."""
    episode = groups[0][0]
    lines = [message["content"].strip() for message in episode.messages]
    return "\n".join(lines) + f"\n(reward {episode.reward:g}; answer: {' | '.join(episode.question.answers)})"
