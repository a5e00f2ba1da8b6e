"""One training run while it runs: resuming, logging, checkpoints, and the two phases SFT and RL."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from ...envs.tasks.registry import Task
from ...policies.language.batches import TokenRows
from ...policies.language.episode_rows import within_window
from ...policies.language.model import LanguageModelPolicy
from ...policies.objectives.registry import get_objective
from ...policies.training.checkpoint import (
    load_checkpoint,
    load_weights,
    reference_model,
    save_checkpoint,
    truncate_log,
)
from ...policies.training.distributed import Processes
from ...policies.training.group_metrics import group_metrics
from ...policies.training.packed_optimizer import pack_optimizer
from ...policies.training.players import Player
from ...policies.training.rl import questions_of_step, rl_optimizer, rl_rollout, rl_update
from ...policies.training.rl_update import RlState
from ...policies.training.sft import sft_optimizer
from ...policies.training.sft_fit import EarlyStop, sft_steps, validation_loss
from ...retrieval_index.files import writing
from .collapse_watch import CollapseError, CollapseWatch, OnCollapse, show_alarms
from .demonstrations import demonstrate
from .interrupts import stops_after_step
from .phase import Phase
from .phase_cost import rl_cost, sft_cost
from .run_log import RunLog
from .trackers import Tracker
from .training_config import Resumed, ShowsParts, TrainConfig, TrainView, split_for_validation, text_of

__all__ = ["TrainRun"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainRun:
    """One training run. All processes run its phases together; only the first one writes files.

    Attributes:
        policy: trained in place.
        player: plays the rollouts and has the whole weights, which checkpoints hold.
        log: metrics.jsonl and timings.jsonl.
        found: the newest checkpoint of the phase that comes next; None starts the phase from the current weights.
        view: shows the steps; None in all processes but the first.
        trackers: also receive the metrics of each step.
        on_collapse: what to do at an alarm.
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
    on_collapse: OnCollapse = "warn"

    def resume(self, optimizer: torch.optim.Optimizer, memory: RlState | None = None) -> Resumed:
        """Loads the checkpoint `found`, if there is one, and cuts the log back to it.

        A run may be killed between a step's log row and the next checkpoint. Steps after the checkpoint run again, so
        their rows are cut off first: otherwise metrics.jsonl would hold them twice.
        """
        resumed, metrics_bytes = Resumed(), 0
        if self.found:
            state = load_checkpoint(self.found, self.player.weights, optimizer)
            self.player.load()
            if memory is not None:
                memory.load_state_dict(state["memory"])
            resumed = Resumed(state["step"], [(step, loss) for step, loss in state.get("validation", [])])
            metrics_bytes = state["metrics_bytes"]
            self.log.check(metrics_bytes, state.get("metrics_sha256"))
            logger.info("resumed from %s", self.found)
        if self.processes.rank == 0:
            truncate_log(self.log.metrics_path, metrics_bytes)
        return resumed

    def log_step(self, phase: str, step: int, metrics: dict[str, float], text: str | None = None) -> None:
        """Logs a step to the run's log, the trackers and the view; `step` counts from 1 within its phase."""
        if self.processes.rank:
            return
        self.log.write(phase, step, metrics)
        overall = step + (self.config.sft.steps if phase == "rl" else 0)
        with writing("to a tracker", "free some space, then use --resume, or take none: --track"):
            for tracker in self.trackers:
                tracker.log(metrics, step=overall)
        if self.view:
            self.view.update(overall, metrics, text)

    def save(self, optimizer: torch.optim.Optimizer, phase: str, step: int, *, spare: str = "", **memory: Any) -> None:
        """Writes a checkpoint while the other processes wait.

        Args:
            optimizer: of the phase.
            phase: "sft" or "rl".
            step: steps of the phase that are done.
            spare: name of an older checkpoint to keep, besides the newest two.
            memory: more values that resuming needs.
        """
        self.player.sync()
        packed = pack_optimizer(optimizer) if self.config.fsdp or self.processes.rank == 0 else None
        if self.processes.rank == 0:
            state = {"phase": phase, "step": step, **self.log.mark(), **memory}
            save_checkpoint(self.out / "checkpoints", self.player.weights, optimizer, state, packed=packed, spare=spare)
        self.processes.gather(None)

    def sft(self) -> None:
        """Imitates the demonstrations, until the last step or until validation ends it."""
        config, policy = self.config, self.policy
        optimizer = sft_optimizer(policy, config.sft)
        resumed = self.resume(optimizer)
        if resumed.step == config.sft.steps:
            return
        if self.view:
            self.view.begin(resumed.step, Phase("demonstrations", resumed.step, resumed.step))
        out = None if self.processes.rank else self.out
        shown = self.view.part if isinstance(self.view, ShowsParts) else None
        played = demonstrate(policy, self.task, config, out=out, on_progress=shown)
        training, validation = (within_window(policy, rows) for rows in split_for_validation(played, config))
        stop = EarlyStop(config.validation.patience, resumed.validation)
        if self.view:  # the clock of SFT starts here: playing demonstrations is no step of it
            self.view.begin(resumed.step, Phase("SFT", 0, config.sft.steps))
        cost = sft_cost(self.view, config.sft, resumed.step)
        updates = sft_steps(
            policy,
            optimizer,
            training,
            config.sft,
            stop,
            first=resumed.step,
            validate=partial(self._validation_loss, validation) if validation.ids else None,
            validate_every=config.validation.every,
            processes=self.processes,
        )
        with stops_after_step(wanted=self.processes.count == 1) as stopped:
            for done in updates:
                self.log_step("sft", done.number, done.metrics)
                cost.step(config.sft.batch_size * training.num_tokens / len(training.ids))
                last, ends = done.number == config.sft.steps, stopped()
                saves = ends or last or done.checked or done.number % (10 * config.checkpoint_every) == 0
                if saves and not (last and done.checked):  # `_end_with_best` writes that one, with the best weights
                    self._save_sft(optimizer, done.number, stop)
                if ends and not last:
                    raise KeyboardInterrupt
        if validation.ids:
            self._end_with_best(optimizer, stop)
        if stopped():
            raise KeyboardInterrupt

    def _save_sft(self, optimizer: torch.optim.Optimizer, step: int, stop: EarlyStop) -> None:
        """Writes an SFT checkpoint; the one with the best weights so far stays."""
        best = f"sft-{stop.best_step:06d}"
        memory = {"validation": stop.checks} if stop.checks else {}
        self.save(optimizer, "sft", step, spare=best, **memory)

    def _end_with_best(self, optimizer: torch.optim.Optimizer, stop: EarlyStop) -> None:
        """Writes SFT's last checkpoint from the weights of the lowest validation loss.

        It is named after the last step even if SFT ended early, so that resuming sees that SFT is done.
        """
        steps = self.config.sft.steps
        if stop.best_step < steps:
            load_weights(self.out / "checkpoints" / f"sft-{stop.best_step:06d}", self.player.weights)
            self.player.load()
        logger.info("SFT ends with the weights of step %d", stop.best_step)
        self._save_sft(optimizer, steps, stop)

    def _validation_loss(self, validation: TokenRows) -> float:
        """Mean loss of the held-out demonstrations, nats per policy token."""
        self.player.sync()
        return validation_loss(self.player.weights, validation, self.config.sft.max_tokens)

    def rl(self) -> None:
        """Reinforcement learning, step by step."""
        config, policy, task, processes = self.config, self.policy, self.task, self.processes
        objective = get_objective(config.rl.objective)
        reference = self._reference_model() if objective.needs_reference else None
        optimizer, memory = rl_optimizer(policy, config.rl), RlState()
        # Right after SFT there is nothing to resume, and resuming without a checkpoint would cut off SFT's log rows.
        after_sft = config.sft.steps > 0 and not self.found
        first = 0 if after_sft else self.resume(optimizer, memory).step
        if self.view:
            sft = config.sft.steps
            self.view.begin(sft + first, Phase("RL", sft, sft + config.rl.steps))
        every = task.split(config.split)
        watch = CollapseWatch(self.out) if processes.rank == 0 else None
        cost = rl_cost(self.view, config.rl, first)
        with stops_after_step(wanted=processes.count == 1) as stopped:
            for step in range(first, config.rl.steps):
                questions = questions_of_step(every, config.rl, step)
                self.player.sync()
                groups = rl_rollout(
                    self.player, questions, task.spec, task.searcher, config.rl, step, more=every, processes=processes
                )
                update = rl_update(
                    policy, optimizer, groups, objective, config.rl,
                    step=step, state=memory, reference=reference, processes=processes,
                )  # fmt: skip
                metrics = {**group_metrics(groups), **update}
                self.log_step("rl", step + 1, metrics, text_of(groups[0][0]))
                cost.step(update["rl/policy_tokens"])
                why, last = self._collapse(watch, step + 1, metrics), step + 1 == config.rl.steps
                ends = stopped()
                if ends or why or last or (step + 1) % config.checkpoint_every == 0:
                    self.save(optimizer, "rl", step + 1, memory=memory.state_dict())
                if why:
                    raise CollapseError(step + 1, config.rl.steps, why)
                if ends and not last:
                    raise KeyboardInterrupt

    def _collapse(self, watch: CollapseWatch | None, step: int, metrics: dict[str, float]) -> str:
        """Shows the alarms that begin with a step; returns why the run must stop, to all processes, or ""."""
        if watch:
            show_alarms(watch.step(step, metrics), self.view)
        if self.on_collapse == "warn":
            return ""
        return str(self.processes.gather(" ".join(alarm.text for alarm in watch.lasting) if watch else "")[0])

    def _reference_model(self) -> PreTrainedModel:
        """The frozen model at which RL started. The first process writes it once; then all load the same file."""
        self.player.sync()
        if self.processes.rank == 0:
            reference_model(self.out / "reference", self.player.weights)
        self.processes.gather(None)
        return reference_model(self.out / "reference", self.player.weights)
