"""Cells of language models: the tiny policy is trained by SFT, then RL, and measured on the way; all resumable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ...envs.tasks.registry import Task, make_task
from ...policies.language.model import LanguageModelPolicy, load_language_model
from ...policies.policy import Sampling
from ...policies.training.checkpoint import latest_checkpoint
from ..measures.summary import summarize
from ..runs.evaluation import evaluate
from ..runs.recipes import world_rl, world_sft
from ..runs.run_folder import write_json
from ..runs.training import train
from .experiment import Cell, CellResult

__all__ = ["LanguageGrid", "run_language_cell"]

ENV = "berrypick/World-v0"
MAX_ROWS = 512
KS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class LanguageGrid:
    """The language-model cells of an experiment: the tiny policy, from diverse demonstrations.

    Attributes:
        presets: of the World.
        arms: name -> spec of the objective.
        max_seeds: no more seeds are run, whatever `--seeds` says.
        checkpoints: RL steps at which the policy is measured; 0 is the start.
        sft_steps: updates on demonstrations.
        questions: test questions.
        samples: rollouts per test question.
    """

    presets: tuple[str, ...]
    arms: Mapping[str, str]
    max_seeds: int = 8
    checkpoints: tuple[int, ...] = (0, 10, 20, 40, 80, 200)
    sft_steps: int = 520
    questions: int = 512
    samples: int = 16

    def cells(self, num_seeds: int) -> list[Cell]:
        """One cell per objective, preset and seed."""
        return [
            Cell(
                f"language/{preset}/{arm}/seed-{seed:02d}",
                {
                    "policy": "language model",
                    "preset": preset,
                    "arm": arm,
                    "objective": objective,
                    "seed": seed,
                    "sft_steps": self.sft_steps,
                    "steps": self.checkpoints[-1],
                    "checkpoints": list(self.checkpoints),
                    "questions": self.questions,
                    "samples": self.samples,
                },
            )
            for seed in range(min(num_seeds, self.max_seeds))
            for arm, objective in self.arms.items()
            for preset in self.presets  # innermost, so that two workers do not wait for the same SFT
        ]


class _Evaluating:
    """A training view that measures the policy at chosen RL steps, or reads what was measured there before."""

    def __init__(self, config: Mapping[str, Any], policy: LanguageModelPolicy, task: Task, work: Path) -> None:
        self._config, self._policy, self._task, self._work = config, policy, task, work

    def begin(self, done: int) -> None:
        """Shows nothing."""

    def update(self, step: int, metrics: dict[str, float], episode_text: str | None = None) -> None:
        """Measures the policy if this step is a checkpoint."""
        if step in self._config["checkpoints"]:
            self.measure(step)

    def measure(self, step: int) -> dict[str, float]:
        """The measures of the policy at this step: computed now, or read from disk."""
        name = f"{self._config['objective']}-{step}"
        return _measured(self._work / f"measures-{step:04d}.json", self._policy, self._task, self._config, name, step)


def _measured(
    path: Path,
    policy: LanguageModelPolicy,
    task: Task,
    config: Mapping[str, Any],
    name: str,
    step: int,
    *,
    greedy: bool = False,
) -> dict[str, float]:
    """The measures stored in a file, which is written first if it does not exist."""
    if not path.is_file():
        records = evaluate(
            policy,
            task,
            split="test",
            num_questions=config["questions"],
            num_samples=1 if greedy else config["samples"],
            sampling=Sampling(temperature=0.0 if greedy else 1.0, max_new_tokens=32),
            seed=config["seed"],
            policy_id=name,
            checkpoint_step=step,
            max_rows=MAX_ROWS,
        )
        found = summarize(records, ks=(1,) if greedy else KS)["measures"]
        write_json(path, {name: estimate["value"] for name, estimate in found.items()})
    return _read(path)


def _read(path: Path) -> dict[str, float]:
    values: dict[str, float] = json.loads(path.read_text())
    return values


def run_language_cell(cell: Cell, work: Path) -> CellResult:
    """SFT, shared by the objectives of a seed, then RL with an evaluation at every checkpoint.

    Args:
        cell: from `LanguageGrid.cells`.
        work: the cell's own folder; an interrupted cell resumes from its newest checkpoint.

    Returns:
        {"checkpoints": {step: measures}, "temperatures": {"0": measures of one greedy episode per question}}, names as
        in `measures/summary.py`.
    """
    config = cell.config
    arguments = {"preset": config["preset"], "index": "bm25s"}
    task = make_task(ENV, **arguments)
    shared = work.parent.parent / "sft" / f"seed-{config['seed']:02d}"
    shared.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(shared.with_suffix(".lock")):  # the objectives of a seed may run side by side
        policy = load_language_model(str(_imitated(config, arguments, shared)))
        first = _measured(shared / "measures-0000.json", policy, task, config, "sft", 0)
    view = _Evaluating(config, policy, task, work)
    run = world_rl(arguments, start="sft", objective=config["objective"], steps=config["steps"], seed=config["seed"])
    train(run, policy, task, work / "run", resume=(work / "run" / "config.json").is_file(), view=view)
    steps = [step for step in config["checkpoints"] if 0 < step <= config["steps"]]
    greedy = _measured(
        work / "greedy.json", policy, task, config, f"{config['objective']}-greedy", steps[-1], greedy=True
    )
    return {
        "checkpoints": {"0": first, **{str(step): view.measure(step) for step in steps}},
        "temperatures": {"0": greedy},
    }


def _imitated(config: Mapping[str, Any], arguments: dict[str, Any], out: Path) -> Path:
    """Checkpoint of the SFT policy of this preset and seed."""
    seed, steps = config["seed"], config["sft_steps"]
    run = world_sft(arguments, steps=steps, seed=seed)
    done = (out / "config.json").is_file()
    train(run, load_language_model("tiny", seed=seed), make_task(ENV, **arguments), out, resume=done)
    found = latest_checkpoint(out / "checkpoints")
    assert found is not None
    return found
